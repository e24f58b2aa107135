/** Datagrams that the kernel drops before we see them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { connectionOf, Mirror } from './support/mirror.ts'
import { Origin } from './support/origin.ts'
import { closeAfterEach, openProgram } from './support/program.ts'

closeAfterEach()
const BUFFER_BYTES = 65_536
const CONNECTIONS = 300
const hasKoffi = await koffiAvailable()

describe('the receive buffer overflows while the process is stopped', () => {
  test.for([1, 2])(
    "--receivers %i: the kernel's drops are our metric, datagram by datagram",
    async (receivers, { skip }) => {
      if (receivers > 1 && !hasKoffi) skip('package koffi is not there')
      const origin = await Origin.listen()
      const program = await openProgram({
        to: origin.url,
        receivers,
        args: ['--receive-buffer-bytes', String(BUFFER_BYTES)],
      })
      const mirror = await Mirror.open(program.port)
      mirror.push(connectionOf([{ method: 'GET', target: '/before' }]))
      await until('traffic flows', () => origin.arrivedAt.has('/before'))
      program.service.child.kill('SIGSTOP')
      for (let n = 0; n < CONNECTIONS; n++) await mirror.send(connectionOf([{ method: 'GET', target: `/flood/${n}` }]))
      await sleep(100)
      program.service.child.kill('SIGCONT')
      // Read once a second.
      await until('every datagram is received or dropped by the kernel', async () => {
        const now = await program.ledger()
        return now.received + now.kernelDrops === mirror.datagrams
      })
      mirror.push(connectionOf([{ method: 'GET', target: '/after' }]))
      const backMs = await until('traffic flows again', () => origin.arrivedAt.has('/after'))
      const ledger = await program.settled()
      tellFigures({
        datagrams: mirror.datagrams,
        received: ledger.received,
        'dropped by the kernel': ledger.kernelDrops,
        'buffer bytes': ledger.samples.get('mirrorshard_receive_buffer_bytes')!,
        'back after ms': backMs,
      })
      expect(ledger.kernelDrops).toBeGreaterThan(100)
      const summary = await program.finish()
      expect(summary.packets.kernelDropped).toBe(ledger.kernelDrops)
      mirror.close()
      await origin.close()
    },
  )
})
