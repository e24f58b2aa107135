/** Other programs that read HTTP/1 as servers do: what they take a stream of bytes for. */
import { once } from 'node:events'
import { connect } from 'node:net'

export interface SeenRequest {
  readonly method: string
  /** As the reader tells it. */
  readonly target: string
  /** In order, as they came; null where the reader does not tell. */
  readonly headers: readonly (readonly [string, string])[] | null
  /** Values the reader tells one by one, by lower-case name; null or absent where it says nothing. */
  readonly values?: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface Reading {
  /** Complete requests, in order. */
  readonly requests: readonly SeenRequest[]
  /** Why it read no further; null where it read everything, or stopped in order (Connection: close, the end inside a message). */
  readonly refusal: string | null
}

export interface Reader {
  readonly name: string
  readonly version: string
  /** Each stream on a connection of its own, which then ends. */
  read(streams: readonly Buffer[]): Promise<Reading[]>
  close(): Promise<void>
}

/** Connections under way at once. */
const WIDTH = 32
/** The server has ended a connection long before; else something hangs, which is a result, too. */
const PATIENCE_MS = 20_000

/**
 * Sends each stream over a connection of its own, ends it, and waits until the server has.
 *
 * @param addressOf the address from which a stream is sent
 * @param opened the local port, before anything is sent
 */
export async function sendAll(
  streams: readonly Buffer[],
  port: number,
  addressOf: (index: number) => string,
  opened: (index: number, localPort: number) => void,
): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let i = next++; i < streams.length; i = next++) await sendOne(streams[i]!, i)
  }
  const sendOne = async (bytes: Buffer, index: number) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: addressOf(index) })
    socket.on('error', () => {})
    socket.setTimeout(PATIENCE_MS, () => socket.destroy())
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await once(socket, 'connect')
    opened(index, socket.localPort!)
    socket.resume()
    socket.end(bytes)
    await closed
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}
