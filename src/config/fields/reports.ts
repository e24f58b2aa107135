/** What is printed, written and served. */
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
  help: 'Where /metrics (Prometheus), /healthz and /summary are served; elsewhere than on loopback only with --admin-token-file.',
} as const

/** Of every command. */
export const COMMON_FIELDS = {
  logLevel: optional(choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), 'info', {
    reloads: true,
    group,
    value: 'LEVEL',
    help: 'What goes to standard error: trace, debug, info, warn, error, fatal or silent.',
  }),
  config: unset(filePath, 'none', {
    group,
    from: 'command line',
    value: 'FILE',
    help: 'YAML file of options: the names of the flags without dashes.',
  }),
}

/** Of run, replay and inspect. */
export const SUMMARY_FIELDS = {
  summary: unset(filePath, 'none', {
    group,
    value: 'FILE',
    help: 'Write the final counts there, as one JSON object.',
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
        '9464 is the port that Prometheus exporters of OpenTelemetry use. Port 0 takes any free one and prints it.',
    },
  ),
  adminTokenFile: unset(filePath, 'none', {
    group,
    value: 'FILE',
    help: 'File with a token that the admin server then asks for (Authorization: Bearer), on loopback too. /healthz needs none.',
    reason:
      'At least 24 characters, and not readable by everybody: openssl rand -hex 32. A file, so that it stands in no process list and no environment.',
  }),
  adminHost: unset(listOf(parsed('a host name such as mirror.internal', parseHostName)), 'none', {
    group,
    value: 'NAME',
    help: 'Further name in the Host header that the admin server takes; may be repeated. Loopback and its own address it always takes.',
    reason: 'A page in a browser could reach it through a name that the page’s author controls (DNS rebinding).',
  }),
  health: unset(orOff('HOST:PORT, such as 0.0.0.0:8080', parseHostPort), 'off', {
    group,
    value: 'HOST:PORT|off',
    help: 'Where /healthz alone is served, for a load balancer: 200 when receiving, else 503.',
  }),
}

/** Of inspect. */
export const INSPECT_FIELDS = {
  format: optional(choice('ndjson', 'table', 'har'), 'ndjson', {
    group: 'Output',
    value: 'ndjson|table|har',
    help: 'ndjson: one JSON object per request. table: for reading. har: for browsers and HTTP tools.',
    reason: 'One object per line can be read while it grows, by every tool.',
  }),
  bodies: optional(choice('none', 'hash', 'base64'), 'hash', {
    group: 'Output',
    value: 'none|hash|base64',
    help: 'What is printed of bodies: nothing, their SHA-256, or all.',
    reason: 'Enough to compare, without spreading what is in them.',
  }),
  redact: unset(listOf(headerName), 'none', {
    group: 'Output',
    value: 'NAME,…',
    help: 'Headers whose values are replaced before anything is written, such as authorization,cookie,set-cookie,proxy-authorization.',
    reason: 'By default the output is what was captured. Targets and bodies are not looked into.',
  }),
  redactKeyFile: unset(filePath, 'none', {
    group: 'Output',
    value: 'FILE',
    help: 'Redacted values become hmac: and 16 digits of HMAC-SHA-256 with the key in this file: equal values stay equal.',
    reason:
      'Without a key [redacted] stands for all. The key is at least 16 bytes; who has it can test guesses of a value.',
  }),
}

/** Of demo. */
export const DEMO_FIELDS = {
  requests: optional(integer(1, 1_000_000), 4000, {
    group: 'Traffic',
    value: 'N',
    help: 'Requests of the sample traffic.',
    reason: 'Shows every kind of traffic in a few seconds.',
  }),
  keep: optional(truth, false, {
    group: 'Output',
    help: 'Go on after the verdict, with live numbers at the admin address, until Ctrl-C.',
  }),
  admin: optional(
    adminAddress,
    { host: '127.0.0.1', port: 0 },
    { ...adminMeta, reason: 'Any free port, which is printed: a demo should not fail because something else runs.' },
  ),
}
