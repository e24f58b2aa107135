import { expect, test } from 'vitest'
import { ReceiveErrors } from '../../../src/sources/live/receive-errors.ts'

const ENOMEM = 12
const EBADF = 9

test('an error that comes with every turn is told once a minute; one that is final, once', () => {
  let now = 0
  const told: string[] = []
  const failures: string[] = []
  const errors = new ReceiveErrors(
    (text, errno) => told.push(`${now} ${errno}: ${text}`),
    ({ message }) => failures.push(message),
    () => now,
  )
  for (; now < 150_000; now += 4) {
    errors.report(ENOMEM)
    errors.report(EBADF)
  }
  expect(told).toEqual([0, 60_000, 120_000].map((at) => `${at} ENOMEM: receiving failed with ENOMEM; retrying`))
  expect(failures).toEqual(['receiving failed with EBADF: the socket cannot be read any more'])
})
