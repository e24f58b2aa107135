/** Where the time goes: all threads sampled by V8, as a flame graph and as the functions with the most time of their own. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { benchCapture, captureInWords } from '../support/bench-capture.ts'
import { openLiveRun } from '../support/live-run.ts'
import { CHECKOUT, describeMachine, machineInWords } from '../support/machine.ts'
import { MirrorSource } from '../support/mirror-source.ts'
import { losslessCounts, replayFile } from '../support/mirrorshard.ts'
import type { BenchOptions } from '../support/options.ts'
import type { Report } from '../support/report.ts'
import { count } from '../support/table.ts'
import { addProfile, type CpuProfile, type FlameNode, newNode, selfTimes } from './aggregate.ts'
import { ChunkSources } from './chunk-sources.ts'
import { drawFlameGraph } from './flame-graph.ts'

/** No function of ours may take more than this share of the time by itself. */
const MOST_SHARE = 0.15
const SHOWN = 25
/** µs between samples. */
const INTERVAL_US = 500
const PASSES = 8
const QUICK_PASSES = 3
const RATE = 60_000

export async function profileFile(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const name = 'profile/file'
  const capture = await benchCapture(options, directory)
  const loops = options.quick ? QUICK_PASSES : PASSES
  for (const workers of options.workers ?? [0, 1]) {
    report.heading(name, `file → null, --workers ${workers}, ${loops} passes, start included`)
    const profiles = freshFolder(directory)
    const run = await replayFile(capture.path, 'null', workers, directory, { loops, nodeOptions: sampling(profiles) })
    const [packets, requests] = [capture.packets * loops, capture.requests * loops]
    report.check(`${name} --workers ${workers}`, losslessCounts(run.summary, packets, requests, 'null'))
    report.line(captureInWords(capture))
    tell(name, `--workers ${workers}`, profiles, report)
  }
}

export async function profileLive(options: BenchOptions, report: Report, directory: string): Promise<void> {
  const name = 'profile/live'
  for (const workers of options.workers ?? [0, 1]) {
    report.heading(
      name,
      `VXLAN over UDP at ${count(RATE)} packets/s → null, --workers ${workers}, ${options.seconds} s, start included`,
    )
    const profiles = freshFolder(directory)
    const source = await MirrorSource.open(RATE)
    try {
      const run = await openLiveRun(workers, sampling(profiles))
      try {
        const { sent } = await source.send({ port: run.port, packetsPerSecond: RATE, seconds: options.seconds })
        const { packets: sentPackets } = await sent
        await sleep(500)
        const { packets } = await run.summary()
        report.check(`${name} --workers ${workers}`, {
          'packets received and dropped by the kernel': [packets.received + (packets.kernelDropped ?? 0), sentPackets],
        })
      } finally {
        await run.end()
      }
    } finally {
      await source.close()
    }
    tell(name, `--workers ${workers}`, profiles, report)
  }
}

function sampling(folder: string): string[] {
  // Worker threads take these from the main thread, and write a profile each.
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${INTERVAL_US}`]
}

function freshFolder(directory: string): string {
  const folder = join(directory, 'profiles')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  return folder
}

function tell(name: string, variant: string, folder: string, report: Report): void {
  const root = readProfiles(folder)
  const times = selfTimes(root)
  if (times.length === 0) throw new Error(`${name} ${variant}: no samples`)
  const rows = [['function', '% of the time', 'of']]
  for (const { frame, share } of times.slice(0, SHOWN))
    rows.push([`${frame.name} ${frame.place}`.trim(), (share * 100).toFixed(1), frame.kind])
  report.table(rows)
  const ours = times.filter(({ frame }) => frame.kind === 'ours')
  const most = ours[0]
  for (const kind of ['ours', 'package', 'node', 'gc', 'native'] as const) {
    const share = times.filter(({ frame }) => frame.kind === kind).reduce((sum, time) => sum + time.share, 0)
    report.result({ bench: name, variant: `${variant}, ${kind}`, share })
  }
  report.result({ bench: name, variant, top: times.slice(0, SHOWN) })
  report.picture(
    `${name}-${variant.replaceAll(/[- ]+/g, '')}`,
    drawFlameGraph(root, `${name} ${variant}`, machineInWords(describeMachine())),
  )
  if (most === undefined) return
  report.check(`${name} ${variant}`, {
    [`functions of ours above ${MOST_SHARE * 100} %`]: [
      ours
        .filter(({ share }) => share > MOST_SHARE)
        .map(({ frame, share }) => `${frame.name} ${(share * 100).toFixed(1)} %`)
        .join(', '),
      '',
    ],
  })
  report.line(`the most of ours: ${most.frame.name} ${(most.share * 100).toFixed(1)} %, limit ${MOST_SHARE * 100} %`)
}

function readProfiles(folder: string): FlameNode {
  const root = newNode({ name: 'all', kind: 'native', place: '' })
  const base = pathToFileURL(join(CHECKOUT, 'dist/')).href
  const chunks = new ChunkSources(join(CHECKOUT, 'dist'))
  // CPU.<date>.<time>.<process>.<thread>.<number>.cpuprofile; thread 0 is the main one.
  for (const file of readdirSync(folder).sort()) {
    const thread = Number(file.split('.').at(-3))
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile
    nameSources(profile, base, chunks)
    addProfile(root, thread === 0 ? 'main thread' : `worker ${thread}`, profile, base)
  }
  return root
}

/** Functions of bundled chunks under the name of their source; which line of it they begin at, the chunk does not say. */
function nameSources(profile: CpuProfile, base: string, chunks: ChunkSources): void {
  for (const node of profile.nodes) {
    const { url, lineNumber } = node.callFrame
    if (!url.startsWith(base)) continue
    const file = url.slice(base.length)
    const source = chunks.sourceOf(file, lineNumber + 1)
    if (source !== file) node.callFrame = { ...node.callFrame, url: `${base}${source}`, lineNumber: -1 }
  }
}
