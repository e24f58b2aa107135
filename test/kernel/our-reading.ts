/** What the product reads in a capture: the whole path on one thread. */
import { LinkType } from '../../src/wire/ethernet.ts'
import { InlinePath, USUAL_SHAPE } from '../fuzz/inline-path.ts'
import { keyOfView } from '../fuzz/truth.ts'
import type { Captured } from './scenario.ts'

/** Requests in the order they were sent on. */
export function readCapture(capture: readonly Captured[]): string[] {
  const requests: string[] = []
  const path = new InlinePath({ ...USUAL_SHAPE, verifyChecksums: true }, (message) => requests.push(keyOfView(message)))
  for (const { bytes, laterUs } of capture) path.frame(bytes, LinkType.raw, 0, laterUs)
  path.end()
  return requests
}

/** Those of `ours` that are not in `theirs`, both in order. */
export function notAmong(ours: readonly string[], theirs: readonly string[]): string[] {
  const wrong: string[] = []
  let at = 0
  for (const request of ours) {
    const found = theirs.indexOf(request, at)
    if (found < 0) wrong.push(request)
    else at = found + 1
  }
  return wrong
}
