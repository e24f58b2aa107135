import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { ListenAddress } from '../../../src/sources/datagram-receiver.ts'
import { openTcpAcceptor, type TcpAcceptor } from '../../../src/sources/live/tcp-acceptor.ts'

/** 'closed by peer' after a connect that succeeded, or the error code. */
function probe(to: ListenAddress): Promise<string> {
  return new Promise((resolve) => {
    let wasConnected = false
    const socket = connect(to.port, to.host, () => {
      wasConnected = true
    })
    socket.resume()
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('close', () => resolve(wasConnected ? 'closed by peer' : 'never connected'))
  })
}

describe('the TCP acceptor', () => {
  const opened: TcpAcceptor[] = []
  const open = async (addresses: ListenAddress[]): Promise<TcpAcceptor> => {
    const acceptor = await openTcpAcceptor(addresses)
    opened.push(acceptor)
    return acceptor
  }
  afterEach(async () => {
    for (const acceptor of opened.splice(0)) await acceptor.stop()
  })

  test('accepts on every address and closes at once, check after check', async () => {
    const acceptor = await open([
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.2', port: 0 },
    ])
    for (let round = 0; round < 3; round++)
      for (const address of acceptor.bound) expect(await probe(address)).toBe('closed by peer')
  })

  test('refuses connections after stop(), which may be called twice', async () => {
    const acceptor = await open([{ host: '127.0.0.1', port: 0 }])
    await acceptor.stop()
    await acceptor.stop()
    expect(await probe(acceptor.bound[0]!)).toBe('ECONNREFUSED')
  })

  test('a port in use is an error that names address and reason, and leaves nothing bound', async () => {
    const first = await open([{ host: '127.0.0.1', port: 0 }])
    const free = await open([{ host: '127.0.0.1', port: 0 }])
    await free.stop()
    const { port } = first.bound[0]!
    await expect(open([free.bound[0]!, first.bound[0]!])).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringMatching(new RegExp(`--listen 127.0.0.1:${port}: cannot bind TCP .*EADDRINUSE`)),
    })
    await open([free.bound[0]!])
  })
})
