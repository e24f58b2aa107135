/** A request that was sent on, in the bytes of a stream that the receiver read. */
import { createHash } from 'node:crypto'

/**
 * The stream has the request's bytes, head and body, though an HTTP parser may have given up before them. TCP is asked what the receiver took;
 * that its parser answered an error and closes only the answer says, for which a replay does not wait. `inspect` does.
 * @param key as truth.ts makes it
 */
export function isInBytes(bytes: Buffer, key: string): boolean {
  const [, text = '', length = '', sha256 = ''] = /^(.*)\n\n(\d+) bytes, SHA-256 ([0-9a-f]+)$/s.exec(key) ?? []
  const head = `${text.replaceAll('\n', '\r\n')}\r\n\r\n`
  for (let at = bytes.indexOf(head, 0, 'latin1'); at >= 0; at = bytes.indexOf(head, at + 1, 'latin1')) {
    const behind = bytes.subarray(at + head.length)
    const body = /^transfer-encoding:/im.test(text) ? dechunked(behind) : behind.subarray(0, Number(length))
    if (body.length === Number(length) && createHash('sha256').update(body).digest('hex') === sha256) return true
  }
  return false
}

function dechunked(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at)
    const length = line < 0 ? 0 : Number.parseInt(bytes.toString('latin1', at, line), 16) || 0
    if (length === 0) return Buffer.concat(chunks)
    chunks.push(bytes.subarray(line + 2, line + 2 + length))
    at = line + 2 + length + 2
  }
}
