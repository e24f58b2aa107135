/** TCP arrives, and no request of it reaches the origin. */

import { plural } from '../../base/plural.ts'
import { total } from '../totals.ts'
import { divided, FAILED_OUTCOMES, named, PROTOCOL_NAMES } from '../verdict.ts'
import { type Finding, finding, SILENCE_MS, type Situation, seconds } from './finding.ts'
import { nonZero } from './not-readable.ts'
import { answersIn, type Counts, ranked } from './reading.ts'

/** TCP packets without any data after which that is worth a word: a handshake has three. */
const LEAST_TCP = 20
/** Requests without any response: fewer may be on their way. */
const LEAST_REQUESTS = 3
/** Filters somebody set, with the option to look at. */
const FILTERS: Readonly<Record<string, string>> = {
  method: '--methods',
  path: '--include and --exclude',
  sampledOut: '--percent',
  rateLimited: '--rate',
}

export function notReplayed(situation: Situation): Finding[] {
  const { since } = situation
  if (since.packets.tcp === 0) return []
  const findings = since.requests.parsed === 0 ? [noRequest(situation)] : [noResponse(situation), noneSent(situation)]
  return findings.filter((finding) => finding !== null)
}

function noRequest(situation: Situation): Finding | null {
  const { since, now, silence } = situation
  // Where requests came before, a moment without one is none of ours.
  if (now.requests.parsed > 0 && silence.requestMs < SILENCE_MS) return null
  const { tcp } = since.packets
  const span = seconds(since.ms)
  if (since.responses.parsed > 0)
    return finding(
      'responsesOnly',
      'wrong',
      `${plural(since.responses.parsed, 'response')} and no request in ${span}: only what servers send is mirrored`,
      'let the mirror filter take the direction to the servers too: ingress and egress rules, or both tc hooks',
      { responses: since.responses.parsed, tcpPackets: tcp },
    )
  // Of connections that began before the window only the bytes count in it.
  const isNamed = total(since.protocols) > 0 || since.skippedBytes.otherProtocol > 0
  if (isNamed) return otherProtocol(total(since.protocols) > 0 ? since.protocols : now.protocols, since.ms)
  if (since.skippedBytes.resyncUnproven > 0)
    return finding(
      'midStream',
      'warning',
      `${plural(tcp, 'TCP packet')} in ${span} and no request: ${plural(since.skippedBytes.resyncUnproven, 'byte')} of connections that were open before, without a proven message boundary`,
      'nothing if it is so for a moment after the start; otherwise packets are lost before us, or one direction is not mirrored',
      { tcpPackets: tcp, resyncUnproven: since.skippedBytes.resyncUnproven },
    )
  if (tcp < LEAST_TCP) return null
  return finding(
    'noData',
    'warning',
    `${plural(tcp, 'TCP packet')} of ${plural(since.flows.opened, 'new connection')} in ${span}, and none brought data of a request`,
    'see whether the mirror takes whole packets and the direction to the servers, and whether clients send requests at all',
    { tcpPackets: tcp, connections: since.flows.opened },
  )
}

function otherProtocol(protocols: Counts, ms: number): Finding | null {
  const byProtocol = new Map<string, Record<string, number>>()
  for (const [key, n] of ranked(protocols)) {
    const [protocol = '', port = ''] = key.split(':')
    byProtocol.set(protocol, { ...byProtocol.get(protocol), [port === '0' ? 'further ports' : port]: n })
  }
  const words = [...byProtocol].map(
    ([protocol, ports]) =>
      `${plural(total(ports), 'connection')} of ${PROTOCOL_NAMES[protocol] ?? protocol} (server port ${ranked(ports)
        .map(([port]) => port)
        .join(', ')})`,
  )
  if (words.length === 0) return null
  const names = [...byProtocol.keys()]
  const isOnly = (protocol: string) => names.length === 1 && names[0] === protocol
  const code = isOnly('tls') ? 'tlsOnly' : isOnly('http2') ? 'http2Only' : 'otherProtocolOnly'
  const advice = names.includes('tls')
    ? 'mirror where TLS has ended: the plain side of the load balancer, the sidecar or the servers; mirrored TLS is not decrypted'
    : isOnly('http2')
      ? 'mirror a hop that speaks HTTP/1.1: HTTP/2 is not read'
      : 'compare the server ports with those of your HTTP/1 services, and the mirror filter with both'
  return finding(code, 'wrong', `no HTTP/1 request in ${seconds(ms)}: ${words.join(', ')}`, advice, {
    protocols: Object.fromEntries(byProtocol),
  })
}

/** Replay does without responses; what only they can tell (whether a body was sent, an upgrade accepted) is then unknown. */
function noResponse({ since, now }: Situation): Finding | null {
  if (since.requests.parsed < LEAST_REQUESTS || since.responses.parsed > 0 || now.responses.parsed > 0) return null
  return finding(
    'requestsOnly',
    'warning',
    `${plural(since.requests.parsed, 'request')} and no response in ${seconds(since.ms)}: only what clients send is mirrored`,
    'let the mirror filter take the direction from the servers too; requests are replayed without it, but upgrades and early answers cannot be recognised',
    { requests: since.requests.parsed },
  )
}

function noneSent({ since, before, now, silence, setup }: Situation): Finding | null {
  const { parsed } = since.requests
  const dropped = nonZero(since.requests.dropped)
  const replayed = nonZero(since.requests.replayed)
  const [failed] = divided(replayed, FAILED_OUTCOMES)
  if (answersIn(replayed) > 0) return null
  const span = seconds(since.ms)
  const details = { requests: parsed, dropped, replayed }
  const circuitOpen = dropped.circuitOpen ?? 0
  const lost = total(failed) + circuitOpen
  if (lost >= LEAST_REQUESTS || (lost > 0 && silence.answerMs >= SILENCE_MS)) {
    const held =
      circuitOpen > 0 ? `, and ${plural(circuitOpen, 'request')} dropped while the circuit breaker is open` : ''
    return finding(
      'originDown',
      'wrong',
      `${setup.to} has answered none of ${plural(parsed, 'request')} in ${span}${total(failed) > 0 ? `: ${named(failed)}` : ''}${held}`,
      originAdvice(failed),
      details,
    )
  }
  if (total(dropped) === 0) {
    // Those that waited all the time of the window.
    const held = before.requests.waiting
    if (held === 0) return null
    return finding(
      'originSilent',
      'wrong',
      `${plural(held, 'request')} waited more than ${span} for ${setup.to ?? 'their turn'}, which has answered nothing meanwhile`,
      'see whether the origin works, and whether a firewall between drops packets: mirrorshard doctor tries it',
      { ...details, held },
    )
  }
  if (answersIn(now.requests.replayed) > 0 && silence.answerMs < SILENCE_MS) return null
  const filtered = Object.fromEntries(Object.entries(dropped).filter(([reason]) => reason in FILTERS))
  if (total(filtered) === total(dropped)) {
    const [[reason]] = ranked(filtered) as [[string, number]]
    const unit = reason === 'sampledOut' && setup.sampleBy !== 'random' ? setup.sampleBy : null
    return finding(
      'allFiltered',
      // By chance a small share may take none of a few.
      reason === 'sampledOut' ? 'warning' : 'wrong',
      `none of ${plural(parsed, 'request')} in ${span} was sent, because filters left out all: ${named(filtered)}`,
      reason === 'sampledOut' && setup.percent === 0
        ? 'use a --percent above 0'
        : unit === null
          ? `look at ${ranked(filtered)
              .map(([name]) => FILTERS[name])
              .join(', ')}`
          : `--percent ${setup.percent} takes or leaves each ${unit.replace(':', ' ')} as a whole, and took none: --sample-by random decides for each request`,
      details,
    )
  }
  if ((dropped.loop ?? 0) > total(dropped) / 2)
    return finding(
      'loop',
      'wrong',
      `${plural(dropped.loop!, 'request')} of ${parsed} in ${span} carry the X-Mirrorshard marker: the mirror sees the replay, not production`,
      `check first that --to is not production; then mirror production alone, or take ${setup.to} out of the mirror's filter`,
      details,
    )
  return finding(
    'noneReplayed',
    'wrong',
    `none of ${plural(parsed, 'request')} in ${span} was sent: ${named(dropped)}`,
    'docs/metrics.md says what each reason means and what to do',
    details,
  )
}

function originAdvice(failed: Counts): string {
  const [[outcome = '']] = [...ranked(failed), ['', 0] as const] as [readonly [string, number]]
  if (outcome === 'tls')
    return 'mirrorshard doctor says what the TLS handshake fails at; see --tls-ca, --tls-server-name and --tls-cert'
  if (outcome === 'unreachable') return 'correct --to, its name or the route to it; mirrorshard doctor tries each step'
  if (outcome === 'refused') return 'start the origin or correct the port of --to'
  return 'see whether the origin works and is reachable from here; mirrorshard doctor tries each step'
}
