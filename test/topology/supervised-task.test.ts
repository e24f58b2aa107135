import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { SupervisedTask } from '../../src/topology/supervised-task.ts'

/** A task whose thread is this test: it moves, dies and starts when told. */
function rig() {
  const runs: { fail: (error: Error) => void; signal: AbortSignal }[] = []
  let heartbeat = 0
  const deaths: string[] = []
  const pauses: number[] = []
  const task = new SupervisedTask({
    name: 'shard',
    run: (signal) =>
      new Promise<void>((_, reject) => {
        runs.push({ fail: reject, signal })
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      }),
    heartbeat: () => heartbeat,
    settle: () => true,
    onDied: (error, restartMs) => {
      deaths.push(error.message)
      pauses.push(restartMs)
    },
    onGivenUp: () => {},
  })
  const check = (times: number) => {
    for (let i = 0; i < times; i++) task.check()
  }
  const startedTimes = async (times: number) => {
    while (runs.length < times) await sleep(1)
  }
  const move = () => {
    heartbeat++
    task.check()
  }
  return { runs, deaths, pauses, task, check, startedTimes, move }
}

describe('a supervised task', () => {
  test('is ended when it has moved and then stands still', () => {
    const { runs, check, move } = rig()
    move()
    check(6)
    expect(runs[0]!.signal.aborted).toBe(false)
    check(1)
    expect(runs[0]!.signal.aborted).toBe(true)
  })

  test('that is started again is not charged with the stillness of the one that died slowly', async () => {
    const { runs, deaths, check, startedTimes, move } = rig()
    move()
    check(6)
    runs[0]!.fail(new Error('out of heap'))
    // No check falls into the pause.
    await startedTimes(2)
    check(6)
    expect(runs[1]!.signal.aborted).toBe(false)
    expect(deaths).toEqual(['out of heap'])
  })

  test('may take its time to start, but not for ever; once it has moved the short limit holds', async () => {
    const { runs, check, startedTimes, move } = rig()
    move()
    runs[0]!.fail(new Error('first'))
    await startedTimes(2)
    check(49)
    expect(runs[1]!.signal.aborted).toBe(false)
    check(1)
    expect(runs[1]!.signal.aborted).toBe(true)
    await startedTimes(3)
    check(20)
    move()
    check(6)
    expect(runs[2]!.signal.aborted).toBe(false)
    check(1)
    expect(runs[2]!.signal.aborted).toBe(true)
  })

  test('that is told to hurry does not wait for the pause it has come to, nor for any later one', async () => {
    const { runs, pauses, task, startedTimes, move } = rig()
    for (let life = 1; life <= 6; life++) {
      await startedTimes(life)
      move()
      runs.at(-1)!.fail(new Error('again'))
      await sleep(0)
    }
    const toldMs = performance.now()
    task.hurry()
    await startedTimes(7)
    move()
    runs.at(-1)!.fail(new Error('again'))
    await startedTimes(8)
    expect(performance.now() - toldMs).toBeLessThan(1_500)
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_600, 0])
  })
})
