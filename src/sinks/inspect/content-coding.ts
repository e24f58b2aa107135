/** Content codings of bodies (RFC 9110 section 8.4.1), undone within a bound. */
import * as zlib from 'node:zlib'

type Decode = (bytes: Buffer, options: { maxOutputLength: number }) => Buffer

const DECODERS: Readonly<Record<string, Decode | undefined>> = {
  gzip: zlib.gunzipSync,
  'x-gzip': zlib.gunzipSync,
  deflate: inflate,
  br: zlib.brotliDecompressSync,
  // From Node 22.15 on.
  zstd: (zlib as { zstdDecompressSync?: Decode }).zstdDecompressSync,
}

export interface Decoded {
  /** Null: it stays as it was captured. */
  readonly bytes: Buffer | null
  /** Why it stays: for whoever reads the output. */
  readonly why: string
}

/** Each step may make as much as the bound, and takes its time. Chosen: nobody uses more than two. */
const MOST_CODINGS = 4

/**
 * A small body may stand for a very long one: what is longer than the bound stays as it is.
 * @param codings value of Content-Encoding: the last one was applied last
 * @param maxBytes of the result, and of each step to it
 */
export function decodeContent(bytes: Buffer, codings: string, maxBytes: number): Decoded {
  let decoded = bytes
  const names = codings
    .toLowerCase()
    .split(',')
    .map((text) => text.trim())
    .filter((name) => name !== '' && name !== 'identity')
  if (names.length > MOST_CODINGS) return { bytes: null, why: `${names.length} content codings one in another` }
  for (const name of names.reverse()) {
    const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
    if (decode === undefined) return { bytes: null, why: `content coding ${name} is not read` }
    // An answer to HEAD, or 304: nothing was coded.
    if (decoded.length === 0) return { bytes: decoded, why: '' }
    try {
      decoded = decode(decoded, { maxOutputLength: maxBytes })
    } catch (error) {
      const isTooLong = (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
      const what = isTooLong ? `is longer than ${maxBytes} bytes when decoded` : 'cannot be decoded'
      return { bytes: null, why: `content coding ${name}: the body ${what}` }
    }
  }
  return { bytes: decoded, why: '' }
}

/** With the zlib header, as RFC 9110 says, or without, as some servers send it. */
function inflate(bytes: Buffer, options: { maxOutputLength: number }): Buffer {
  try {
    return zlib.inflateSync(bytes, options)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw error
    return zlib.inflateRawSync(bytes, options)
  }
}
