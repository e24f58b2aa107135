/** What is printed, written and served. */
import { formatHostPort, type HostPort, parseHostPort, parseLoopbackHostPort } from '../addresses.ts'
import { optional, unset } from '../field.ts'
import { choice, integer, type Kind, orOff, truth } from '../kind.ts'
import { filePath } from '../text-kinds.ts'

const group = 'Reports and configuration'
const adminAddress = {
  ...orOff('HOST:PORT on loopback, such as 127.0.0.1:9464', parseLoopbackHostPort),
  written: (address: HostPort | null): string => (address === null ? 'off' : formatHostPort(address)),
} satisfies Kind
const adminMeta = {
  group,
  value: 'HOST:PORT|off',
  help: 'Where /metrics (Prometheus), /healthz and /summary are served; loopback only.',
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
