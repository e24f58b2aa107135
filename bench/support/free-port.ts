/** Ports of loopback for programs that cannot be asked to take any free one. */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const MOST_ATTEMPTS = 50
/** Below those that Linux gives to whoever asks for any: nobody's connection takes the port before the program does. */
const LEAST_PORT = 10_000
const PORTS = 22_000

/** Free at this moment for UDP and for TCP: `run` takes both. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const port = LEAST_PORT + randomInt(PORTS)
    const socket = createSocket('udp4')
    const server = createServer()
    try {
      socket.bind(port, '127.0.0.1')
      await once(socket, 'listening')
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      return port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    } finally {
      await new Promise<void>((resolve) => socket.close(() => resolve()))
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  }
  throw new Error('no port of loopback is free for UDP and TCP')
}
