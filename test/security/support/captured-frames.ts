/** Captured connections with exactly the bytes a test gives, as frames and as a capture file. */

import { TcpConversation } from '../../../src/demo/traffic/tcp-conversation.ts'
import { type Endpoint, tcpFrames } from '../../../src/demo/traffic/wire-builder.ts'
import { PcapWriter } from '../../../src/sources/files/pcap-writer.ts'

export interface Talk {
  /** Each character is one byte. */
  readonly request: string
  readonly response?: string
}

const LINK_TYPE_ETHERNET = 1
const SEGMENT_BYTES = 1400
const WHOLE = { tags: [], id: 1, fragmentBytes: null }

function endpoint(lastByte: number, port: number): Endpoint {
  return { mac: Buffer.from([2, 0, 0, 0, 0, lastByte]), address: Buffer.from([10, 0, 0, lastByte]), port }
}

/** One connection for each talk, from its SYN to its last FIN. */
export function framesOf(talks: readonly Talk[]): Buffer[] {
  const server = endpoint(2, 80)
  return talks.flatMap(({ request, response }, i) => {
    const client = endpoint(1, 40_000 + i)
    const tcp = new TcpConversation({ client: 1000, server: 5000 })
    tcp.say('client', Buffer.from(request, 'latin1'), () => SEGMENT_BYTES)
    if (response !== undefined) tcp.say('server', Buffer.from(response, 'latin1'), () => SEGMENT_BYTES)
    tcp.close('client')
    return tcp.segments.flatMap((segment) => {
      const [from, to] = segment.from === 'client' ? [client, server] : [server, client]
      return tcpFrames(from, to, { ...segment, options: Buffer.alloc(0) }, segment.payload, WHOLE)
    })
  })
}

/** @returns `path` */
export function writeCapture(path: string, talks: readonly Talk[]): string {
  const writer = PcapWriter.create(path, LINK_TYPE_ETHERNET)
  for (const [i, frame] of framesOf(talks).entries())
    writer.write(frame, 0, frame.length, frame.length, 1.7e15 + i * 1000)
  writer.close()
  return path
}
