/** An origin in a thread of its own: it can have answered before the event loop of the one who asked turns. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { TEST_CERTIFICATE, TEST_KEY } from './tls-certificate.ts'

/** Words shared with the thread: connections that came, requests that were answered. */
const CONNECTIONS = 0
const ANSWERED = 1

/** A request is as long as its head and its Content-Length say. What is written to a socket over loopback has arrived when `write` returns. */
const THREAD = `
const { parentPort, workerData: { key, cert, isTls, memory } } = require('node:worker_threads')
const words = new Int32Array(memory)
const serve = (socket) => {
  Atomics.add(words, 0, 1)
  let head = ''
  let left = -1
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    if (left < 0) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\\r\\n\\r\\n')
      if (end < 0) return
      left = Number(/content-length: (\\d+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4)
    } else left -= chunk.length
    if (left > 0) return
    head = ''
    left = -1
    socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
    Atomics.add(words, 1, 1)
    Atomics.notify(words, 1)
  })
}
const server = isTls ? require('node:tls').createServer({ key, cert }, serve) : require('node:net').createServer(serve)
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

export class ThreadOrigin {
  readonly url: URL
  private readonly thread: Worker
  private readonly words: Int32Array

  private constructor(url: URL, thread: Worker, words: Int32Array) {
    this.url = url
    this.thread = thread
    this.words = words
  }

  static async listen(scheme: 'http' | 'https'): Promise<ThreadOrigin> {
    const memory = new SharedArrayBuffer(8)
    const workerData = { key: TEST_KEY, cert: TEST_CERTIFICATE, isTls: scheme === 'https', memory }
    const thread = new Worker(THREAD, { eval: true, workerData })
    const [port] = await once(thread, 'message')
    return new ThreadOrigin(new URL(`${scheme}://127.0.0.1:${Number(port)}`), thread, new Int32Array(memory))
  }

  get connections(): number {
    return Atomics.load(this.words, CONNECTIONS)
  }

  get answered(): number {
    return Atomics.load(this.words, ANSWERED)
  }

  /** Blocks this thread until the origin has answered `n` requests in all. @returns whether it did within 10 s */
  blockUntilAnswered(n: number): boolean {
    const limitMs = performance.now() + 10_000
    for (let seen = this.answered; seen < n; seen = this.answered) {
      if (performance.now() > limitMs) return false
      Atomics.wait(this.words, ANSWERED, seen, 1000)
    }
    return true
  }

  async close(): Promise<void> {
    await this.thread.terminate()
  }
}
