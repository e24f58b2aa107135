/**
 * The first line of the summary: whether anything was lost, and where; what was not read; what was left out on purpose. True in every
 * combination: that nothing was lost is said only where something arrived and all of it was read.
 */
import { count, plural } from '../base/plural.ts'
import { mayHideRequests, passedOverInWords } from './passed-over-words.ts'
import type { Summary, TargetSummary } from './summary.ts'
import { total } from './totals.ts'

/** Drops that were asked for, that replay never does, or that no server read: not a loss. */
export const ASKED_FOR: ReadonlySet<string> = new Set([
  'connect',
  'upgrade',
  'loop',
  'method',
  'path',
  'host',
  'status',
  'sampledOut',
  'rateLimited',
  'vniNotAllowed',
  'behindClose',
])
/** Outcomes without an answer. */
export const FAILED_OUTCOMES: ReadonlySet<string> = new Set([
  'refused',
  'unreachable',
  'tls',
  'connectTimeout',
  'reset',
  'timeout',
  'truncated',
  'invalid',
  'answerTooLarge',
])
export const PROTOCOL_NAMES: Readonly<Record<string, string>> = {
  tls: 'TLS',
  http2: 'HTTP/2',
  ssh: 'SSH',
  proxyHeader: 'a malformed PROXY header',
  unknown: 'an unrecognised protocol',
}

export function verdict(summary: Summary): string {
  const lost = losses(summary)
  const unread = notRead(summary)
  const purpose = leftOut(summary)
  if (lost.length > 0) {
    const rest = unread.length === 0 ? '' : ` Not read: ${unread.join('; ')}.`
    return `Lost: ${lost.join('; ')}.${rest}${purpose}`
  }
  if (unread.length > 0) return `Not everything was read: ${unread.join('; ')}.${purpose}`
  const { packets, flows, requests } = summary
  if (packets.received === 0) return 'Nothing arrived: there was no packet to read.'
  const tcpPackets = packets.processed - packets.other
  if (flows.opened === 0 && tcpPackets > 0)
    return `Nothing was read: ${plural(tcpPackets, 'TCP packet')}, none of which opens a connection or carries data of one.${purpose}`
  if (flows.opened === 0)
    return `Nothing was read: no TCP connection was seen in ${plural(packets.received, 'packet')}.${purpose}`
  if (requests.parsed === 0) return `No HTTP/1 request was seen in ${plural(flows.opened, 'connection')}.${purpose}`
  return `Nothing was lost.${purpose}`
}

/** What would be there if everything had arrived and been taken. */
function losses({ packets, requests, flows, targets }: Summary): string[] {
  const places: string[] = []
  if (packets.kernelDropped) places.push(`${plural(packets.kernelDropped, 'packet')} in the kernel's receive buffer`)
  if (flows.gaps > 0) {
    const isHarmless = !['gap', 'truncated', 'incomplete'].some((reason) => requests.dropped[reason])
    const truncated = truncatedInWords(packets)
    places.push(
      `${plural(flows.gaps, 'gap')} in the captured streams${truncated.length > 0 ? ` (${truncated.join(', ')})` : ''}${isHarmless ? ', in no request that was recognised' : ''}`,
    )
  }
  const [, otherPackets] = divided(packets.dropped, ASKED_FOR)
  if (total(otherPackets) > 0)
    places.push(`${plural(total(otherPackets), 'packet')} dropped here (${named(otherPackets)})`)
  const [, unwanted] = divided(requests.dropped, ASKED_FOR)
  if (total(unwanted) > 0) places.push(`${plural(total(unwanted), 'request')} dropped (${named(unwanted)})`)
  const [failed] = divided(requests.replayed, FAILED_OUTCOMES)
  if (total(failed) > 0)
    places.push(`${plural(total(failed), 'request')} without an answer from the origin (${named(failed)})`)
  if (requests.held > 0) places.push(`${plural(requests.held, 'request')} still held`)
  for (const [name, target] of Object.entries(targets ?? {})) places.push(...lossesAt(name, target))
  if (flows.lost > 0) places.push(`${plural(flows.lost, 'connection')} with a worker`)
  return places
}

/** At one of several targets. */
function lossesAt(name: string, { dropped, replayed, held }: TargetSummary): string[] {
  const [, unwanted] = divided(dropped, ASKED_FOR)
  const [failed] = divided(replayed, FAILED_OUTCOMES)
  return [
    ...(total(unwanted) > 0 ? [`${plural(total(unwanted), 'request')} to ${name} dropped (${named(unwanted)})`] : []),
    ...(total(failed) > 0
      ? [`${plural(total(failed), 'request')} without an answer from ${name} (${named(failed)})`]
      : []),
    ...(held > 0 ? [`${plural(held, 'request')} to ${name} still held`] : []),
  ]
}

/** By whom packets were truncated: before us, or here. */
export function truncatedInWords({ truncated, truncatedHere }: Summary['packets']): string[] {
  return [
    ...(truncated > 0 ? [`${plural(truncated, 'packet')} truncated`] : []),
    ...(truncatedHere > 0 ? [`${plural(truncatedHere, 'packet')} truncated here by --datagram-bytes`] : []),
  ]
}

/** What arrived and was not understood. */
function notRead({ flows, responses, skippedBytes, otherProtocols, passedOver }: Summary): string[] {
  const places: string[] = []
  if (flows.otherNetworkPackets > 0)
    places.push(
      `${plural(flows.otherNetworkPackets, 'packet')} of connections that have the addresses and ports of others in another network (--flow-key vlan tells them apart)`,
    )
  if (flows.unreadable > 0)
    places.push(
      `${plural(flows.unreadable, 'connection')} that began with something other than an HTTP/1 request and got a response`,
    )
  if (responses.unasked > 0) places.push(`${plural(responses.unasked, 'response')} to requests that were not read`)
  if (total(responses.dropped) > 0)
    places.push(`${plural(total(responses.dropped), 'response')} incomplete (${named(responses.dropped)})`)
  for (const [protocol, ports] of Object.entries(otherProtocols))
    places.push(`${plural(total(ports), 'connection')} of ${PROTOCOL_NAMES[protocol] ?? protocol}`)
  const { resyncUnproven, afterAmbiguous, tunnel } = skippedBytes
  if (resyncUnproven > 0) places.push(`${plural(resyncUnproven, 'byte')} without a proven message boundary`)
  if (afterAmbiguous > 0) places.push(`${plural(afterAmbiguous, 'byte')} after ambiguous messages`)
  if (tunnel > 0) places.push(`${plural(tunnel, 'byte')} in tunnels`)
  places.push(...passedOverInWords(mayHideRequests(passedOver)))
  return places
}

function leftOut({ packets, requests, targets }: Summary): string {
  const [wanted] = divided(requests.dropped, ASKED_FOR)
  const [wantedPackets] = divided(packets.dropped, ASKED_FOR)
  const parts = [
    ...(total(wanted) > 0
      ? [`${count(total(wanted))} of ${plural(requests.parsed, 'request')} (${named(wanted)})`]
      : []),
    ...Object.entries(targets ?? {}).flatMap(([name, { given, dropped }]) => {
      const [wantedThere] = divided(dropped, ASKED_FOR)
      const n = total(wantedThere)
      return n > 0 ? [`${count(n)} of ${plural(given, 'request')} to ${name} (${named(wantedThere)})`] : []
    }),
    ...(total(wantedPackets) > 0 ? [plural(total(wantedPackets), 'packet')] : []),
  ]
  return parts.length === 0 ? '' : ` Left out on purpose: ${parts.join(', ')}.`
}

type Counts = Readonly<Record<string, number>>

/** The counts whose names are in the set, and the others. */
export function divided(counts: Counts, set: ReadonlySet<string>): [Counts, Counts] {
  const entries = Object.entries(counts)
  return [
    Object.fromEntries(entries.filter(([name]) => set.has(name))),
    Object.fromEntries(entries.filter(([name]) => !set.has(name))),
  ]
}

/** `gap 3, expired 1`. */
export function named(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, n]) => `${name} ${count(n)}`)
    .join(', ')
}
