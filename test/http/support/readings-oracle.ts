/**
 * All readings of a captured conversation in which answers may come before a body: written for short texts, by trying everything, and sharing
 * nothing with what it judges. A request is certain where every reading has it.
 */

/** In the order of the mirror. */
export type Step =
  /** @param ack how far the client had the server's stream */
  | { readonly from: 'client'; readonly text: string; readonly ack: number }
  /** @param ack how far the server had the client's stream. Interim answers prove nothing. */
  | { readonly from: 'server'; readonly text: string; readonly ack: number; readonly status: number }

export interface Reading {
  /** Whole requests, by target, with the status of their answer; null: it has none yet. */
  readonly requests: ReadonlyMap<string, number | null>
}

interface Answer {
  readonly offset: number
  readonly ack: number
  readonly status: number
}

const HEAD = /^(GET|POST) (\S+) HTTP\/1\.1\r\n(?:Expect: 100-continue\r\n)?(?:Content-Length: (\d+)\r\n)?\r\n/
const BEGINNING = /^(G|P|T|GE|PO|TR|GET|POS|POST|(GET|POST) [\s\S]*)$/

/** Every way in which an honest client and an honest server may have meant these bytes. None: the conversation is impossible. */
export function readingsOf(steps: readonly Step[]): Reading[] {
  let bytes = ''
  const acks: number[] = []
  let offset = 0
  const answers: Answer[] = []
  for (const step of steps) {
    if (step.from === 'client') {
      bytes += step.text
      for (let i = 0; i < step.text.length; i++) acks.push(step.ack)
    } else {
      if (step.status >= 200) answers.push({ offset, ack: step.ack, status: step.status })
      offset += step.text.length
    }
  }
  const found: Reading[] = []
  const read = (at: number, asked: number, whole: readonly (readonly [string, number | null])[]): void => {
    const ends = (requests: number): void => {
      if (answers.length <= requests) found.push({ requests: new Map(whole) })
    }
    if (at === bytes.length) {
      ends(asked)
      return
    }
    const rest = bytes.slice(at)
    const head = HEAD.exec(rest)
    if (head === null) {
      // A head that is still to come whole was not answered.
      if (!rest.includes('\r\n\r\n') && BEGINNING.test(rest)) ends(asked)
      return
    }
    const headEnd = at + head[0].length
    const bodyEnd = headEnd + Number(head[3] ?? 0)
    const answer = answers[asked]
    if (answer !== undefined && answer.ack < headEnd) return
    if (bodyEnd > bytes.length) ends(asked + 1)
    else read(bodyEnd, asked + 1, [...whole, [head[2]!, answer?.status ?? null]])
    // What the client sends when it has a byte of an answer that came before the body was whole may be another request.
    if (answer === undefined || answer.ack >= bodyEnd) return
    // Where bytes end with the body, its last ones are no request that never went on.
    const isEnd = (stop: number) => bodyEnd === bytes.length && !bytes.includes('\r\n', stop)
    for (let stop = headEnd; stop < Math.min(bodyEnd, bytes.length); stop++)
      if (acks[stop]! > answer.offset && BEGINNING.test(bytes.slice(stop)) && !isEnd(stop)) read(stop, asked + 1, whole)
  }
  read(0, 0, [])
  return found
}

/** Targets of the requests that were in every reading as soon as they were whole in one. */
export function certainAtOnce(steps: readonly Step[]): string[] {
  const certain: string[] = []
  const seen = new Set<string>()
  for (const [i, step] of steps.entries()) {
    if (step.from === 'server') continue
    const readings = readingsOf(steps.slice(0, i + 1))
    const inAll = certainIn(readings)
    for (const { requests } of readings)
      for (const target of requests.keys()) {
        if (!seen.has(target) && inAll.includes(target)) certain.push(target)
        seen.add(target)
      }
  }
  return certain
}

/** Targets of the requests that are in every reading. */
export function certainIn(readings: readonly Reading[]): string[] {
  const [first, ...others] = readings
  if (first === undefined) return []
  return [...first.requests.keys()].filter((target) => others.every(({ requests }) => requests.has(target)))
}
