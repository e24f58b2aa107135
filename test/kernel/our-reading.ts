/** What the product reads in a capture: the whole path on one thread. */
import type { ExchangeId } from '../../src/exchange/exchange-outlet.ts'
import { LinkType } from '../../src/wire/link-type.ts'
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

/** Requests as `inspect` prints them: without those behind Connection: close that the server read nothing of. */
export function readAsInspect(capture: readonly Captured[]): string[] {
  const requests = new Map<ExchangeId, string>()
  const path = new InlinePath(
    { ...USUAL_SHAPE, verifyChecksums: true },
    (message, _connection, id) => requests.set(id, keyOfView(message)),
    (id) => requests.delete(id),
  )
  for (const { bytes, laterUs } of capture) path.frame(bytes, LinkType.raw, 0, laterUs)
  path.end()
  return [...requests.values()]
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
