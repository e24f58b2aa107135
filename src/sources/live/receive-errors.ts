/** What becomes of an error of receiving that is neither an empty socket nor a signal. */
import { getSystemErrorName } from 'node:util'
import { MirrorError } from '../../base/errors.ts'

/**
 * The socket, or what we hand to the kernel with it, is not what it was: no later call can succeed. Others (ENOMEM, ENOBUFS,
 * ENETDOWN, …) pass, and receiving is retried.
 */
const FINAL: ReadonlySet<string> = new Set(['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'ENOTCONN', 'EOPNOTSUPP'])

/** They come with every turn: one error is reported this often at most. */
const AGAIN_MS = 60_000

/** Gets the error of every failed call of a receiver. */
export class ReceiveErrors {
  /** When each was reported last. */
  private readonly reportedMs = new Map<number, number>()
  private readonly onPassing: (text: string, errno: string) => void
  private readonly onFinal: (error: MirrorError) => void
  private readonly nowMs: () => number

  constructor(
    onPassing: (text: string, errno: string) => void,
    onFinal: (error: MirrorError) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.nowMs = nowMs
    this.onPassing = onPassing
    this.onFinal = onFinal
  }

  readonly report = (errno: number): void => {
    const nowMs = this.nowMs()
    const last = this.reportedMs.get(errno)
    if (last !== undefined && nowMs - last < AGAIN_MS) return
    this.reportedMs.set(errno, nowMs)
    const name = getSystemErrorName(-errno)
    if (FINAL.has(name)) {
      // What is final happens once.
      if (last !== undefined) return
      this.onFinal(new MirrorError('ERR_RECEIVER', `receiving failed with ${name}: the socket cannot be read any more`))
    } else this.onPassing(`receiving failed with ${name}; retrying`, name)
  }
}
