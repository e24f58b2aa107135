/** HTTP/1 as an entry of the protocol registry. */
import { Probe, probeRequestLine, probeStatusLine } from './first-line.ts'
import { HttpConnection } from './http-connection.ts'
import type { Protocol } from './protocol.ts'

export const HTTP1: Protocol = {
  name: 'http1',
  /** A request line of a known method, or a status line. */
  probe: (bytes, at, end) => {
    const request = probeRequestLine(bytes, at, end)
    return request === Probe.no ? probeStatusLine(bytes, at, end) : request
  },
  open: (context, flowHash, ports, clientDirection, openEvents, isMidMessage) =>
    new HttpConnection(context, flowHash, ports, clientDirection, openEvents, isMidMessage),
}
