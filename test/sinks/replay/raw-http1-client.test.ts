import { ByteRequest } from '../../../src/sinks/replay/byte-request.ts'
import { RawHttp1Client } from '../../../src/sinks/replay/raw-http1-client.ts'
import { replayEngineContract } from '../../contracts/replay-engine.contract.ts'

replayEngineContract('wire', {
  open: (options, clock, listener) => new RawHttp1Client(options, clock, listener),
  compose: ({ method, target, headers, body }) => {
    const lines = [`${method} ${target} HTTP/1.1\r\n`]
    for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}\r\n`)
    const head = Buffer.from(`${lines.join('')}\r\n`, 'latin1')
    // As ByteRequestBuilder does it: a short body in the same buffer.
    const isShort = body === null || body.length < 1000
    const bytes = isShort && body !== null ? Buffer.concat([head, body]) : head
    return new ByteRequest(method, bytes, 0, bytes.length, isShort ? null : body, 0)
  },
  limits: {},
})
