/** Behind Connection: close nothing is a request (RFC 9112 section 9.6). */
import { describe, expect, test } from 'vitest'
import { answer, ConnectionRig, get, RigContext, SERVER } from './support/connection-rig.ts'

const closing = (status: number) => `HTTP/1.1 ${status} x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
const post = (target: string, length: number) => `POST ${target} HTTP/1.1\r\nContent-Length: ${length}\r\n\r\n`
const ONE_SHOT = 'GET /1 HTTP/1.0\r\n\r\n'

describe('a request that closes', () => {
  test.each([
    ['close', 'Connection: close\r\n'],
    ['close among others, in any case', 'Connection: x\r\nConnection: keep-alive, Close\r\n'],
  ])('ends the requests: %s', (_how, fields) => {
    for (const behind of ['in its segment', 'in the next', 'behind the answer']) {
      const rig = new ConnectionRig()
      if (behind === 'in its segment') rig.client(get('/1', fields) + get('/2')).server(answer(200))
      else if (behind === 'in the next') rig.client(get('/1', fields)).client(get('/2')).server(answer(200))
      else rig.client(get('/1', fields)).server(answer(200)).client(get('/2'))
      expect(rig.fin(SERVER).close()).toEqual(['GET /1 -> 200'])
      expect(rig.count('behindCloseBytes')).toBe(get('/2').length)
      expect(rig.count('requestsParsed')).toBe(1)
    }
  })

  test('is whole with its body', () => {
    const rig = new ConnectionRig().client('POST /1 HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n')
    rig.client(`abc${get('/2')}`).server(answer(200))
    expect(rig.close()).toEqual(['POST /1 -> 200'])
  })

  test('is passed on at once: nobody waits for its response', () => {
    const rig = new ConnectionRig().client(get('/1', 'Connection: close\r\n'))
    expect(rig.context.requestsInParsing).toBe(0)
    expect(rig.close()).toEqual(['GET /1 -> none'])
  })
})

describe('HTTP/1.0 without keep-alive', () => {
  test('has no pipeline', () => {
    const rig = new ConnectionRig().client(ONE_SHOT).client(get('/2')).server(answer(200)).fin(SERVER)
    expect(rig.close()).toEqual(['GET /1 -> 200'])
    expect(rig.drops).toEqual({ behindClose: 1 })
  })

  test('continues where the server answers what comes after its response', () => {
    const old = (status: number) => answer(status, 'x').replace('HTTP/1.1', 'HTTP/1.0')
    const rig = new ConnectionRig().client(ONE_SHOT).server(old(200)).client('GET /2 HTTP/1.0\r\n\r\n').server(old(201))
    expect(rig.close()).toEqual(['GET /1 -> 200', 'GET /2 -> 201'])
  })

  test('continues where it says so', () => {
    const rig = new ConnectionRig().client('GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n').client(get('/2'))
    expect(rig.close()).toEqual(['GET /1 -> none', 'GET /2 -> none'])
  })
})

describe('a response that closes', () => {
  test.each([
    ['pipelined', (rig: ConnectionRig) => rig.client(get('/1') + get('/2')).server(closing(200))],
    ['in a segment of its own', (rig: ConnectionRig) => rig.client(get('/1')).client(get('/2')).server(closing(200))],
    [
      'unfinished',
      (rig: ConnectionRig) =>
        rig.client(`${get('/1')}POST /2 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab`).server(closing(200)),
    ],
    [
      'sent behind it, and not answered',
      (rig: ConnectionRig) => rig.client(get('/1')).server(closing(200)).client(get('/2')),
    ],
    [
      'behind HTTP/1.0',
      (rig: ConnectionRig) => rig.client(get('/1') + get('/2')).server('HTTP/1.0 200 x\r\nContent-Length: 0\r\n\r\n'),
    ],
  ])('leaves out what stands behind its request: %s', (_how, happens) => {
    const rig = new ConnectionRig()
    happens(rig)
    expect(rig.fin(SERVER).close()).toEqual(['GET /1 -> 200'])
    expect(rig.drops).toEqual({ behindClose: 1 })
  })

  test('leaves what its server answers all the same, to a client that asked after it', () => {
    const rig = new ConnectionRig().client(get('/1')).server(closing(200)).client(get('/2')).server(answer(202))
    expect(rig.close()).toEqual(['GET /1 -> 200', 'GET /2 -> 202'])
  })

  test('drops what is sent after it where nobody waits for responses', () => {
    const context = new RigContext()
    context.showsUnanswered = false
    const rig = new ConnectionRig({ context })
      .client(get('/1'))
      .server(closing(200))
      .client(get('/2'))
      .server(answer(202))
    expect(rig.close()).toEqual(['GET /1 -> 200', 'null -> 202'])
    expect(rig.drops).toEqual({ behindClose: 1 })
  })

  test('counts also where the mirror brings it after what its client sent after it', () => {
    const answered = (context: RigContext, happens: (rig: ConnectionRig) => unknown) => {
      const rig = new ConnectionRig({ context }).client(get('/1'), { ack: 0 })
      rig.client(get('/2').slice(0, -2), { ack: closing(200).length }).client('\r\n', { ack: closing(200).length })
      happens(rig.server(closing(200), { ack: get('/1').length }))
      return rig
    }
    const unread = answered(new RigContext(), () => {})
    expect(unread.fin(SERVER).close()).toEqual(['GET /1 -> 200'])
    expect(unread.drops).toEqual({ behindClose: 1 })
    const read = answered(new RigContext(), (rig) => rig.server(answer(202)))
    expect(read.close()).toEqual(['GET /1 -> 200', 'GET /2 -> 202'])
    expect(read.drops).toEqual({})
    const replay = new RigContext()
    replay.showsUnanswered = false
    const rig = new ConnectionRig({ context: replay }).client(get('/1'), { ack: 0 })
    rig.client(post('/2', 4), { ack: closing(200).length }).client('ab', { ack: closing(200).length })
    rig.server(closing(200), { ack: get('/1').length }).client('cd')
    expect(rig.close()).toEqual(['GET /1 -> 200'])
    expect(rig.drops).toEqual({ behindClose: 1 })
  })

  test('says so by a body that only the end of the connection ends', () => {
    for (const behind of [1, 2]) {
      const rig = new ConnectionRig().client(behind === 1 ? get('/1') + get('/2') : get('/1'))
      rig.server('HTTP/1.1 200 x\r\n\r\nbody')
      if (behind === 2) rig.client(get('/2'))
      expect(rig.fin(SERVER).close()).toEqual(['GET /1 -> 200'])
      expect(rig.drops).toEqual({ behindClose: 1 })
    }
    const head = new ConnectionRig().client(get('/1').replace('GET', 'HEAD')).server('HTTP/1.1 200 x\r\n\r\n')
    expect(head.client(get('/2')).close()).toEqual(['HEAD /1 -> 200', 'GET /2 -> none'])
  })

  test('leaves the requests before its own', () => {
    const rig = new ConnectionRig().client(get('/1') + get('/2') + get('/3')).server(answer(201) + closing(202))
    expect(rig.close()).toEqual(['GET /1 -> 201', 'GET /2 -> 202'])
  })

  test('of an interim kind closes nothing', () => {
    const rig = new ConnectionRig().client(get('/1') + get('/2'))
    rig.server('HTTP/1.1 103 x\r\nConnection: close\r\n\r\n').server(answer(200) + answer(200))
    expect(rig.close()).toEqual(['GET /1 -> (103) 200', 'GET /2 -> 200'])
  })

  test('to a request whose body still comes leaves that request', () => {
    const rig = new ConnectionRig().client('POST /1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nab').server(closing(400))
    rig.client('cd')
    expect(rig.close()).toEqual(['POST /1 -> 400'])
  })
})
