// One end of production's traffic, or the origin of the replay, in the network namespace it is started in.
//
//   node peer.mjs server                         HTTP on 8080 and 9090, TLS on 8443, HTTP/2 without TLS on 8081; its own port in each answer
//   node peer.mjs origin                         HTTP on 127.0.0.1:9000; prints a line for each request
//   node peer.mjs client KIND ADDRESS            a request every 150 ms, until it is ended
import { createSocket } from 'node:dgram'
import http from 'node:http'
import http2 from 'node:http2'
import tls from 'node:tls'

const EVERY_MS = 150
/** No certificates needed: what is mirrored is TLS all the same. */
const PSK = {
  ciphers: 'PSK-AES128-GCM-SHA256',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
}
const KEY = Buffer.from('0123456789abcdef')

const [role, kind, address] = process.argv.slice(2)
if (role === 'server') {
  const answer = (request, response) => {
    request.resume().on('end', () => response.end(`${request.method} ${request.url}\n`))
  }
  for (const port of [8080, 9090]) http.createServer(answer).listen(port, '0.0.0.0')
  http2.createServer(answer).listen(8081, '0.0.0.0')
  tls
    .createServer({ ...PSK, pskCallback: () => KEY }, (socket) => socket.on('error', () => {}).pipe(socket))
    .listen(8443, '0.0.0.0')
  createSocket('udp4')
    .on('message', () => {})
    .bind(5300)
} else if (role === 'origin') {
  http
    .createServer((request, response) => {
      request.resume().on('end', () => {
        process.stdout.write(`${request.method} ${request.url}\n`)
        response.end('ok')
      })
    })
    .listen(9000, '127.0.0.1')
} else {
  const make = {
    get: () => ask(8080, 'GET', {}, ''),
    // Longer than a datagram of 576 bytes, in one segment.
    post: () => ask(8080, 'POST', {}, 'x'.repeat(900)),
    marked: () => ask(8080, 'GET', { 'X-Mirrorshard': '1' }, ''),
    tls: () => {
      const socket = tls.connect({
        ...PSK,
        host: address,
        port: 8443,
        pskCallback: () => ({ psk: KEY, identity: 'client' }),
        checkServerIdentity: () => undefined,
      })
      socket.on('error', () => {}).on('secureConnect', () => socket.end('hello'))
      socket.resume()
    },
    http2: () => {
      const session = http2.connect(`http://${address}:8081`)
      session.on('error', () => {})
      const stream = session.request({ ':path': '/' })
      stream.on('error', () => {}).on('end', () => session.close())
      stream.resume()
    },
    udp: () => {
      const socket = createSocket('udp4')
      socket.send('hello', 5300, address, () => socket.close())
    },
  }[kind]
  setInterval(make, EVERY_MS)
}

function ask(port, method, headers, body) {
  const options = { host: address, port, method, path: `/page?${Date.now()}`, headers, agent: false }
  http
    .request(options, (response) => response.resume())
    .on('error', () => {})
    .end(body)
}
