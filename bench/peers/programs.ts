/** Other programs on the same capture, those that are on PATH, each with a count of its own that must be right. */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchCapture } from '../support/bench-capture.ts'
import { type Finished, findOnPath, runTimed } from '../support/processes.ts'
import type { Report } from '../support/report.ts'

export interface Peers {
  readonly report: Report
  readonly bench: string
  readonly tcpflow: string | null
  readonly tshark: string | null
  readonly gor: string | null
}

export interface PeerRun {
  readonly label: string
  readonly run: () => Promise<Finished & { readonly check: string; readonly counted: string }>
}

export function openPeers(report: Report, bench: string): Peers {
  return {
    report,
    bench,
    tcpflow: findOnPath('tcpflow'),
    tshark: findOnPath('tshark'),
    gor: findOnPath('gor') ?? findOnPath('goreplay'),
  }
}

/** A file for each direction of each connection, nothing else: no HTTP, no report. */
export function tcpflowOnly(peers: Peers, capture: BenchCapture, directory: string): PeerRun | null {
  return tcpflow(peers, capture, directory, 'tcpflow, flows only', ['-S', 'enable_report=NO'])
}

/** The same and the bodies of HTTP messages, a file each. */
export function tcpflowHttp(peers: Peers, capture: BenchCapture, directory: string): PeerRun | null {
  return tcpflow(peers, capture, directory, 'tcpflow -e http', ['-S', 'enable_report=NO', '-e', 'http'])
}

function tcpflow(
  { tcpflow: program, report, bench }: Peers,
  capture: BenchCapture,
  directory: string,
  label: string,
  options: readonly string[],
): PeerRun | null {
  if (program === null) return null
  return {
    label,
    run: async () => {
      const output = join(directory, 'tcpflow')
      mkdirSync(output, { recursive: true })
      try {
        const finished = await runTimed(program, ['-q', ...options, '-r', capture.path, '-o', output])
        const names = readdirSync(output)
        const flows = names.filter((name) => /^[\d.]+-[\d.]+(c\d+)?$/.test(name))
        const bodies = names.length - flows.length
        const isHttp = options.includes('http')
        const check = report.check(`${bench} ${label}`, {
          'exit code': [finished.code, 0],
          // Of a capture that was given it is not known how many directions carry data.
          'flow files': [flows.length, capture.connections === null ? flows.length : 2 * capture.connections],
          'any bytes': [flows.length > 0 && statSync(join(output, flows[0]!)).size > 0, true],
          'any HTTP bodies': [isHttp ? bodies > 0 : false, isHttp],
        })
        return { ...finished, check, counted: `${flows.length} flows${isHttp ? `, ${bodies} bodies` : ''}` }
      } finally {
        rmSync(output, { recursive: true, force: true })
      }
    },
  }
}

/** Reads once and prints method and target of each request. */
export function tsharkHttp({ tshark: program, report, bench }: Peers, capture: BenchCapture): PeerRun | null {
  if (program === null) return null
  const fields = ['-T', 'fields', '-e', 'http.request.method', '-e', 'http.request.uri']
  return {
    label: 'tshark, http fields',
    run: async () => {
      const finished = await runTimed(program, ['-n', '-r', capture.path, '-Y', 'http.request', ...fields])
      // Pipelined requests of one packet stand in one line, with commas between them.
      const requests = finished.stdout
        .split('\n')
        .filter((line) => line !== '')
        .reduce((sum, line) => sum + line.split('\t')[0]!.split(',').length, 0)
      const check = report.check(`${bench} tshark`, {
        'exit code': [finished.code, 0],
        requests: [requests, capture.requests],
      })
      return { ...finished, stdout: '', check, counted: `${requests} requests` }
    },
  }
}

const GOR_SEPARATOR = '\n\u{1F435}\u{1F648}\u{1F649}\n'
const GOR_LIMIT_SECONDS = 60

/**
 * GoReplay reads requests that stand ready in a file of its own format: the file is made here, one record a request. What it does
 * with packets is not in this figure. It does not end at the end of its input by itself: `--exit-after` is.
 */
export function gorFile({ gor: program, report, bench }: Peers, requests: number, directory: string): PeerRun | null {
  if (program === null) return null
  const path = join(directory, 'requests.gor')
  let isMade = false
  return {
    label: 'gor --input-file, requests only',
    run: async () => {
      if (!isMade) writeFileSync(path, gorRecords(requests))
      isMade = true
      const seconds = Math.min(GOR_LIMIT_SECONDS, 5 + Math.ceil(requests / 1000))
      const finished = await runTimed(program, [
        '--input-file',
        `${path}|100000%`,
        '--output-null',
        '--stats',
        '--exit-after',
        `${seconds}s`,
      ])
      const check = report.check(`${bench} gor`, { 'ended by itself': [finished.code, 0] })
      return { ...finished, check, counted: `given ${requests} requests; it tells no count` }
    },
  }
}

/** Records of GoReplay's file format: a line with type, id, start and latency in nanoseconds, the request, a separator. */
export function gorRecords(requests: number): string {
  const records: string[] = []
  for (let i = 0; i < requests; i++) {
    const id = i.toString(16).padStart(24, '0')
    const startNs = (1_767_225_600_000_000_000n + BigInt(i) * 10_000n).toString()
    records.push(`1 ${id} ${startNs} 0\nGET /r${i} HTTP/1.1\r\nHost: shop.example.test\r\n\r\n${GOR_SEPARATOR}`)
  }
  return records.join('')
}
