/** What is printed, written and served. */
import { LOG_LEVELS } from '../../base/log-level.ts'
import { formatHostPort, type HostPort, parseHostName, parseHostPort } from '../addresses.ts'
import { optional, unset } from '../field.ts'
import { choice, integer, type Kind, listOf, orOff, parsed, truth } from '../kind.ts'
import { filePath, headerName } from '../text-kinds.ts'

const group = 'Reports and configuration'
const adminAddress = {
  ...orOff('HOST:PORT, such as 127.0.0.1:9464', parseHostPort),
  written: (address: HostPort | null): string => (address === null ? 'off' : formatHostPort(address)),
} satisfies Kind
const adminMeta = {
  group,
  value: 'HOST:PORT|off',
  help: 'Where to serve /metrics (Prometheus), /healthz and /summary. An address other than loopback needs --admin-token-file.',
} as const

/** Of every command. */
export const COMMON_FIELDS = {
  logLevel: optional(choice(...LOG_LEVELS), 'info', {
    reloads: true,
    group,
    value: 'LEVEL',
    help: 'Lowest level written to standard error: trace, debug, info, warn, error, fatal or silent.',
  }),
  logFormat: unset(choice('json', 'text'), 'by command', {
    group,
    value: 'json|text',
    help: 'Form of what is told on standard error, the final summary included: json (one object a line) or text. Without it run writes text on a terminal and json elsewhere; other commands write text.',
    reason:
      'Events and their fields are listed in [log.md](log.md). An error in the options, or one that ends the process, is always a line of text.',
  }),
  config: unset(filePath, 'none', {
    group,
    from: 'command line',
    value: 'FILE',
    help: 'YAML file of options; keys are the flags without the leading dashes.',
  }),
}

/** Of run, replay and inspect. */
export const SUMMARY_FIELDS = {
  summary: unset(filePath, 'none', {
    group,
    value: 'FILE',
    help: 'Write the final counts to this file, as one JSON object.',
  }),
}

/** Of run. */
export const SERVER_FIELDS = {
  admin: optional(
    adminAddress,
    { host: '127.0.0.1', port: 9464 },
    {
      ...adminMeta,
      reason:
        '9464 is the port that OpenTelemetry’s Prometheus exporters use. Port 0 takes any free port and prints it.',
    },
  ),
  adminTokenFile: unset(filePath, 'none', {
    group,
    value: 'FILE',
    help: 'File with a token that the admin server then requires (Authorization: Bearer), on loopback too. /healthz needs none.',
    reason:
      'At least 24 characters, and not readable by everybody: openssl rand -hex 32. In a file the token appears in no process list and no environment.',
  }),
  adminHost: unset(listOf(parsed('a host name such as mirror.internal', parseHostName)), 'none', {
    group,
    value: 'NAME',
    help: 'Another name that the admin server accepts in the Host header; may be repeated. It always accepts loopback names and its own address.',
    reason:
      'Otherwise a page in a browser could reach it through a name that the page’s author controls (DNS rebinding).',
  }),
  health: unset(orOff('HOST:PORT, such as 0.0.0.0:8080', parseHostPort), 'off', {
    group,
    value: 'HOST:PORT|off',
    help: 'Where to serve only /healthz, for a load balancer: 200 when receiving, else 503.',
  }),
}

/** Of inspect. */
export const INSPECT_FIELDS = {
  format: optional(choice('ndjson', 'table', 'har'), 'ndjson', {
    group: 'Output',
    value: 'ndjson|table|har',
    help: 'ndjson: one JSON object per request. table: for reading. har: for browsers and HTTP tools.',
    reason: 'Every tool can read one object per line while the output grows.',
  }),
  bodies: optional(choice('none', 'hash', 'base64'), 'hash', {
    group: 'Output',
    value: 'none|hash|base64',
    help: 'What to print of bodies: nothing, their SHA-256, or all bytes.',
    reason: 'A hash is enough to compare bodies without exposing their content.',
  }),
  redact: unset(listOf(headerName), 'none', {
    group: 'Output',
    value: 'NAME,…',
    help: 'Headers whose values are replaced before anything is written, such as authorization,cookie,set-cookie,proxy-authorization.',
    reason: 'By default the output is what was captured. Targets and bodies are never redacted.',
  }),
  redactKeyFile: unset(filePath, 'none', {
    group: 'Output',
    value: 'FILE',
    help: 'Redacted values become hmac: and 16 digits of HMAC-SHA-256 with the key in this file: equal values stay equal.',
    reason:
      'Without a key every value becomes [redacted]. The key has at least 16 bytes; whoever has it can test guesses of a value.',
  }),
}

/** Of demo. */
export const DEMO_FIELDS = {
  requests: optional(integer(1, 1_000_000), 4000, {
    group: 'Traffic',
    value: 'N',
    help: 'Number of requests in the sample traffic.',
    reason: 'Shows every kind of traffic in a few seconds.',
  }),
  keep: optional(truth, false, {
    group: 'Output',
    help: 'Keep running after the verdict, with live numbers at the admin address, until Ctrl-C.',
  }),
  admin: optional(
    adminAddress,
    { host: '127.0.0.1', port: 0 },
    { ...adminMeta, reason: 'Any free port, which is printed: the demo should not fail because a port is in use.' },
  ),
}
