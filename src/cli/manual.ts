/** What help says besides the options: what each command is for, and how it is used. */
import type { CommandName } from '../config/field.ts'

export interface Example {
  readonly what: string
  readonly line: string
}

export interface Manual {
  /** One line, in the list of commands. */
  readonly summary: string
  readonly usage: string
  readonly examples: readonly Example[]
  /** Paragraphs after the examples: what surprises people. */
  readonly notes?: readonly string[]
}

export const TOOL_NAMES = ['validate', 'config'] as const
export type ToolName = (typeof TOOL_NAMES)[number]

export const MANUALS: Readonly<Record<CommandName | ToolName, Manual>> = {
  run: {
    summary: 'receive mirrored packets and replay their requests, until stopped',
    usage: '--to URL [options]',
    examples: [
      {
        what: 'VXLAN on UDP 4789 (AWS VPC Traffic Mirroring), replayed to staging',
        line: 'mirrorshard run --to http://staging:8080',
      },
      {
        what: 'A careful start: one connection in twenty, reads only, at most 50 requests/s',
        line: 'mirrorshard run --to http://staging:8080 --percent 5 --methods GET,HEAD --rate 50/s',
      },
      {
        what: 'GENEVE over IPv6, with a health check for the load balancer',
        line: 'mirrorshard run --to http://staging:8080 --listen geneve:[::]:6081 --health 0.0.0.0:8080',
      },
      { what: 'Only count what a mirror delivers, send nothing', line: 'mirrorshard run --to null' },
    ],
    notes: [
      'Ctrl-C or SIGTERM stops receiving, sends what is held and prints a summary; a second one exits at once.',
      'SIGHUP reads the --config file again. docs/operations.md describes this, and how a new process takes over without loss.',
    ],
  },
  replay: {
    summary: 'replay the requests in capture files',
    usage: 'FILE... --to URL [options]',
    examples: [
      { what: 'At the captured pace', line: 'mirrorshard replay monday.pcap --to http://staging:8080' },
      {
        what: 'Ten times faster, several files in time order',
        line: 'mirrorshard replay mon.pcap tue.pcapng.gz --to http://staging:8080 --speed 10',
      },
      {
        what: 'How fast can this machine read? (sends nothing)',
        line: 'mirrorshard replay monday.pcap --to null --speed max --loop 10',
      },
      {
        what: 'From another program',
        line: 'tcpdump -w - tcp port 80 | mirrorshard replay - --to http://staging:8080',
      },
    ],
    notes: [
      'Files are pcap or pcapng, plain or gzip. VXLAN, GENEVE and other encapsulations are recognised automatically.',
    ],
  },
  inspect: {
    summary: 'print the HTTP requests and responses in capture files',
    usage: 'FILE... [options]',
    examples: [
      { what: 'A table to read', line: 'mirrorshard inspect monday.pcap --format table' },
      {
        what: 'One JSON object per request, for other tools',
        line: "mirrorshard inspect monday.pcap | jq -r 'select(.response.status >= 500) | .uri'",
      },
      {
        what: 'What failed, without health checks',
        line: 'mirrorshard inspect monday.pcap --deny-path ^/health --only-status 5xx --format table',
      },
      {
        what: 'With bodies, for a browser’s network panel',
        line: 'mirrorshard inspect monday.pcap --format har --bodies base64 > monday.har',
      },
    ],
  },
  capture: {
    summary: 'capture packets from a network interface to a pcap file',
    usage: '--interface IFACE --out FILE [options]',
    examples: [
      {
        what: 'HTTP on loopback',
        line: 'mirrorshard capture --interface lo --filter "tcp port 8080" --out local.pcap',
      },
      { what: 'Then inspect it', line: 'mirrorshard inspect local.pcap --format table' },
    ],
    notes: ['For local testing. Needs package cap (libpcap) and the right to capture: root, or CAP_NET_RAW.'],
  },
  demo: {
    summary: 'watch everything work on loopback; nothing to configure',
    usage: '[options]',
    examples: [
      {
        what: 'Sample traffic as VXLAN through the real receiver to a built-in origin, and a verdict',
        line: 'mirrorshard demo',
      },
      { what: 'Leave it running, to look at the metrics', line: 'mirrorshard demo --keep --admin 127.0.0.1:9464' },
    ],
  },
  doctor: {
    summary: 'check what run needs, before anything is started; ask the one that runs',
    usage: '[options of run]',
    examples: [
      { what: 'This machine: ports, buffers, limits, threads', line: 'mirrorshard doctor' },
      {
        what: 'With the options of the service: also its target, by a TLS handshake at most',
        line: 'mirrorshard doctor --to https://staging:8443 --health 0.0.0.0:8080',
      },
      { what: 'For a script', line: 'mirrorshard doctor --to http://staging:8080 --json' },
    ],
    notes: [
      'Exit code 0: nothing is wrong, though there may be warnings. 1: something is. No request is sent to the target.',
      'If mirrorshard runs at --admin, its findings (/diagnose) are printed as well. docs/diagnose.md lists them.',
    ],
  },
  validate: {
    summary: 'check a configuration file',
    usage: '--config FILE',
    examples: [
      {
        what: 'Every error with its line and column, or exit code 0',
        line: 'mirrorshard validate --config mirrorshard.yaml',
      },
    ],
    notes: [
      'Refuses what run refuses, with the same words: files, certificates, memory, packages. Environment variables count too.',
      'What only a start tells is not checked: an address in use, a missing right.',
    ],
  },
  config: {
    summary: 'print the JSON Schema of the configuration file (config schema)',
    usage: 'schema',
    examples: [
      {
        what: 'For completion in editors that support JSON Schema',
        line: 'mirrorshard config schema > mirrorshard.schema.json',
      },
      {
        what: 'and as the first line of mirrorshard.yaml',
        line: '# yaml-language-server: $schema=./mirrorshard.schema.json',
      },
    ],
  },
}
