/** The faults of an origin, one row each. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Arrived, OK, type Origin } from './origin.ts'

/** Time-outs of the program in the matrix, milliseconds: short, so that a row takes two seconds. */
export const LIMITS = {
  connectTimeoutMs: 500,
  headersTimeoutMs: 800,
  bodyTimeoutMs: 800,
  requestTimeoutMs: 1600,
  circuitOpenMs: 200,
} as const

export interface OriginFault {
  readonly name: string
  /** What the faulty requests may come to, by what the program reports. */
  readonly outcomes: readonly string[]
  /** Where the engines differ. */
  readonly undici?: readonly string[]
  /** How requests in /fault/ are answered; other requests go well. Without it the fault is the connection's: it hits everything. */
  readonly answer?: (request: Arrived, socket: Socket) => void
  /** The same, for those answered before their body was read. */
  readonly atHead?: (socket: Socket) => void
  /** A fault of connections. @returns what ends it */
  readonly begin?: (origin: Origin) => Promise<() => Promise<void>>
  /** Each later request on a connection that has had the fault. */
  readonly later?: (request: Arrived, socket: Socket) => void
  /** The time-out that must end a faulty request: its connection is closed when that is over. */
  readonly endedBy?: 'headersTimeoutMs' | 'bodyTimeoutMs' | 'requestTimeoutMs'
  /** Of the faulty requests. */
  readonly bodyBytes?: number
  readonly faultyPerSecond?: number
  readonly isTls?: boolean
  /**
   * Requests may be written on a connection that the origin is just closing. One that must not be repeated then ends as `reset`, and
   * that is right: whether it was executed cannot be known.
   */
  readonly isRace?: boolean
}

const timer = (socket: Socket, everyMs: number, act: () => void) => {
  const interval = setInterval(act, everyMs)
  socket.once('close', () => clearInterval(interval))
}

const afterwards = (socket: Socket, act: () => void) => setTimeout(() => !socket.destroyed && act(), 10)

/** Writes without an end, as fast as it is read. */
function pour(socket: Socket, chunk: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('drain', more)
  more()
}

const acceptWith =
  (act: (socket: Socket) => void): NonNullable<OriginFault['begin']> =>
  async (origin) => {
    origin.resetConnections()
    origin.atAccept = (socket) => {
      act(socket)
      return true
    }
    return async () => {
      origin.atAccept = null
      origin.resetConnections()
    }
  }

const DOWN = ['refused', 'reset', 'circuitOpen', 'queueFull']
const LEFT_OVER = 'HTTP/1.1 500 Left Over\r\nContent-Length: 0\r\n\r\n'
const GARBAGE = Buffer.from(Array.from({ length: 600 }, (_, i) => (i * 197 + 131) & 255))
const FATAL_HANDSHAKE_FAILURE = Buffer.from([21, 3, 3, 0, 2, 2, 40])

export const ORIGIN_FAULTS: readonly OriginFault[] = [
  {
    name: 'refuses connections',
    outcomes: DOWN,
    begin: async (origin) => {
      await origin.goDown()
      return () => origin.comeUp()
    },
  },
  {
    name: 'closes each connection when it is accepted',
    outcomes: ['reset', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) => socket.end()),
  },
  {
    name: 'resets each connection when it is accepted',
    outcomes: ['reset', 'refused', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) => socket.resetAndDestroy()),
  },
  {
    name: 'accepts and stays silent',
    outcomes: ['timeout', 'reset', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) => socket.on('data', () => {})),
  },
  {
    name: 'does not accept: backlog full',
    outcomes: ['connectTimeout', 'timeout', 'reset', 'refused', 'circuitOpen', 'queueFull'],
    begin: async (origin) => {
      await origin.goDown()
      const script = fileURLToPath(new URL('slow-acceptor.mjs', import.meta.url))
      const child: ChildProcess = fork(script, [String(origin.port)], { execArgv: [] })
      await once(child, 'message')
      child.kill('SIGSTOP')
      return async () => {
        child.kill('SIGKILL')
        await once(child, 'exit')
        await origin.comeUp()
      }
    },
  },
  {
    name: 'RST before the head',
    outcomes: ['reset'],
    answer: (_request, socket) => socket.resetAndDestroy(),
  },
  {
    name: 'RST inside the head',
    outcomes: ['truncated'],
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Le')
      afterwards(socket, () => socket.resetAndDestroy())
    },
  },
  {
    name: 'RST after the head',
    outcomes: ['truncated'],
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      afterwards(socket, () => socket.resetAndDestroy())
    },
  },
  {
    name: 'half a body, then FIN',
    outcomes: ['truncated'],
    answer: (_request, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.'),
  },
  {
    name: 'half a body, then RST',
    outcomes: ['truncated'],
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.')
      afterwards(socket, () => socket.resetAndDestroy())
    },
  },
  {
    name: 'half a chunked body, then FIN',
    outcomes: ['truncated'],
    answer: (_request, socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf.\r\n'),
  },
  { name: 'silence: no answer', outcomes: ['timeout'], endedBy: 'headersTimeoutMs', answer: () => {} },
  {
    name: 'silence inside the body',
    outcomes: ['timeout'],
    endedBy: 'bodyTimeoutMs',
    answer: (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.'),
  },
  {
    name: 'drip: one byte of the head every 40 ms',
    outcomes: ['timeout'],
    endedBy: 'headersTimeoutMs',
    answer: (_request, socket) => {
      let at = 0
      const answer =
        'HTTP/1.1 200 OK\r\nX-Slow: 0123456789012345678901234567890123456789\r\nContent-Length: 2\r\n\r\nok'
      timer(socket, 40, () => socket.write(answer[at++] ?? ''))
    },
  },
  {
    name: 'drip: one byte of the body every 40 ms',
    outcomes: ['timeout'],
    endedBy: 'requestTimeoutMs',
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
      timer(socket, 40, () => socket.write('x'))
    },
  },
  {
    name: 'garbage',
    outcomes: ['invalid'],
    answer: (_request, socket) => void socket.write(GARBAGE),
  },
  {
    name: 'garbage after a status line',
    outcomes: ['invalid'],
    answer: (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nno colon here\0\r\n\r\n'),
  },
  {
    name: '1xx storm, then the answer',
    outcomes: ['2xx'],
    answer: (_request, socket) =>
      void socket.write(`${'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'.repeat(200)}${OK}`),
  },
  {
    name: '1xx storm without an end',
    outcomes: ['timeout'],
    faultyPerSecond: 2,
    answer: (_request, socket) =>
      pour(socket, Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'.repeat(100))),
  },
  {
    name: 'a head of 20 KB',
    outcomes: ['2xx'],
    answer: (_request, socket) =>
      void socket.write(`HTTP/1.1 200 OK\r\nSet-Cookie: a=${'x'.repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`),
  },
  {
    name: 'a head without an end',
    outcomes: ['invalid'],
    faultyPerSecond: 8,
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      pour(socket, Buffer.from(`X-More: ${'x'.repeat(1000)}\r\n`))
    },
  },
  {
    name: 'a body without an end',
    outcomes: ['timeout'],
    faultyPerSecond: 3,
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const chunk = Buffer.from(`4000\r\n${'x'.repeat(0x4000)}\r\n`)
      timer(socket, 10, () => socket.writableLength < 1e6 && socket.write(chunk))
    },
  },
  {
    name: 'Content-Length too short: bytes left over',
    outcomes: ['2xx'],
    // What is left over must never be the next answer, nor a part of it: an origin out of step answers all that comes there with it.
    answer: (_request, socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${LEFT_OVER}`),
    later: (_request, socket) => void socket.write(LEFT_OVER),
  },
  {
    name: 'Content-Length too long, connection open',
    outcomes: ['timeout'],
    endedBy: 'bodyTimeoutMs',
    answer: (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'),
  },
  {
    name: 'Content-Length too long, connection closed',
    outcomes: ['truncated'],
    answer: (_request, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'),
  },
  {
    name: 'differing Content-Lengths',
    outcomes: ['invalid'],
    // undici takes them for one number, longer than what comes.
    undici: ['truncated'],
    answer: (_request, socket) =>
      void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'),
  },
  {
    name: 'closes right after the answer, unannounced',
    isRace: true,
    outcomes: ['2xx'],
    faultyPerSecond: 60,
    answer: (_request, socket) => socket.end(OK),
  },
  {
    name: 'closes 0 to 4 ms after the answer, unannounced',
    isRace: true,
    outcomes: ['2xx'],
    faultyPerSecond: 60,
    answer: (request, socket) => {
      socket.write(OK)
      setTimeout(() => socket.end(), request.target.length % 5)
    },
  },
  {
    name: 'executes a request and closes without an answer',
    outcomes: ['reset'],
    // What must not be repeated is not sent a second time.
    answer: (_request, socket) => socket.end(),
  },
  {
    name: 'keep-alive shorter than ours: closes after 60 ms of idleness',
    isRace: true,
    outcomes: ['2xx'],
    answer: (_request, socket) => {
      socket.write(OK)
      socket.setTimeout(60, () => socket.end())
    },
  },
  {
    name: 'answers before the body has come, reads no further',
    outcomes: ['4xx'],
    bodyBytes: 6_000_000,
    faultyPerSecond: 1,
    atHead: (socket) => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n')
    },
  },
  {
    name: 'an unsolicited 101',
    outcomes: ['1xx'],
    answer: (_request, socket) =>
      void socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
  },
  {
    name: 'a redirect to itself',
    outcomes: ['3xx'],
    // Not followed.
    answer: (request, socket) =>
      void socket.write(`HTTP/1.1 307 Temporary Redirect\r\nLocation: ${request.target}\r\nContent-Length: 0\r\n\r\n`),
  },
  {
    name: 'TLS: alert instead of a handshake',
    isTls: true,
    outcomes: ['tls', 'reset', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) => socket.once('data', () => socket.end(FATAL_HANDSHAKE_FAILURE))),
  },
  {
    name: 'TLS: plain text on the TLS port',
    isTls: true,
    outcomes: ['tls', 'reset', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
      ),
    ),
  },
  {
    name: 'TLS: silence in the handshake',
    isTls: true,
    // `tls`: the handshake under way when the fault ends is reset.
    outcomes: ['connectTimeout', 'tls', 'reset', 'circuitOpen', 'queueFull'],
    begin: acceptWith((socket) => socket.on('data', () => {})),
  },
]
