/** What becomes of an error of receiving that is neither an empty socket nor a signal. */
import { getSystemErrorName } from 'node:util'
import { MirrorError } from '../../base/errors.ts'

/**
 * The socket, or what we hand to the kernel with it, is not what it was: no later call can succeed. Others (ENOMEM, ENOBUFS,
 * ENETDOWN, …) pass, and receiving is retried.
 */
const FINAL: ReadonlySet<string> = new Set(['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'ENOTCONN', 'EOPNOTSUPP'])

/** Gets the error of every failed call of a receiver. Each is reported once: they come with every turn. */
export class ReceiveErrors {
  private readonly seen = new Set<number>()
  private readonly onPassing: (text: string) => void
  private readonly onFinal: (error: MirrorError) => void

  constructor(onPassing: (text: string) => void, onFinal: (error: MirrorError) => void) {
    this.onPassing = onPassing
    this.onFinal = onFinal
  }

  readonly report = (errno: number): void => {
    if (this.seen.has(errno)) return
    this.seen.add(errno)
    const name = getSystemErrorName(-errno)
    if (FINAL.has(name))
      this.onFinal(new MirrorError('ERR_RECEIVER', `receiving failed with ${name}: the socket cannot be read any more`))
    else this.onPassing(`receiving failed with ${name}; retrying`)
  }
}
