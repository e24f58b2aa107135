/** Files that hold a secret: an access token, a key. Read once at start, and refused when anybody on the machine can read them. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { describeSystemError, MirrorError } from './errors.ts'
import { printable } from './printable.ts'

/** Longer is another file given by mistake. Chosen; the longest token in use is a fraction of it. */
const MAX_SECRET_BYTES = 4096
const OF_OTHERS = 0o007

/**
 * The content of a secret file, without the line end after it. Permissions are those of the opened file, so links and
 * credentials that systemd or Kubernetes mount work like any other.
 * @param option names the option in messages; the content never stands in one
 * @throws MirrorError ERR_CONFIG when the file cannot be read, is readable or writable by everybody, or is empty or too long
 */
export function readSecretFile(option: string, path: string, maxBytes = MAX_SECRET_BYTES): Buffer {
  const refuse = (why: string, cause?: unknown): never => {
    throw new MirrorError('ERR_CONFIG', `${option} ${printable(path)}: ${why}`, cause === undefined ? {} : { cause })
  }
  let secret: Buffer
  try {
    secret = readPrivately(path, maxBytes, refuse)
  } catch (error) {
    if (error instanceof MirrorError) throw error
    return refuse(describeSystemError(error), error)
  }
  let end = secret.length
  while (end > 0 && (secret[end - 1] === 0x0a || secret[end - 1] === 0x0d)) end--
  if (end === 0) return refuse('it is empty')
  return secret.subarray(0, end)
}

function readPrivately(path: string, maxBytes: number, refuse: (why: string) => never): Buffer {
  const fd = openSync(path, 'r')
  try {
    const mode = fstatSync(fd).mode & 0o777
    if ((mode & OF_OTHERS) !== 0) {
      const octal = mode.toString(8).padStart(4, '0')
      refuse(`every user of this machine can read or write it (mode ${octal}): chmod 600 it, or 640 for a group`)
    }
    const bytes = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (;;) {
      const read = readSync(fd, bytes, length, bytes.length - length, null)
      length += read
      if (length > maxBytes) refuse(`it is longer than ${maxBytes} bytes: another file?`)
      if (read === 0) return bytes.subarray(0, length)
    }
  } finally {
    closeSync(fd)
  }
}
