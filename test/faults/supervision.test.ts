import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { koffiAvailable } from '../../src/sources/live/libc.ts'
import {
  ANY_PORT,
  Bench,
  expectBalance,
  expectIdentity,
  Live,
  openOrigin,
  sum,
  Traffic,
  until,
} from './support/live-process.ts'

const hasKoffi = await koffiAvailable()
let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.end())

/** From the order to break to the thread in its loop again. The promise is 2 s on a machine that is not busy with other things. */
const BACK_MS = 20_000
