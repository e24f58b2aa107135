/** Micro benches on the Node that runs this file: JSON on standard output. */
import { writeSync } from 'node:fs'
import { decapsulationBench } from '../micro/decapsulation.ts'
import { hashBench } from '../micro/hash.ts'
import { httpBench } from '../micro/http.ts'
import { measure } from '../micro/measure.ts'
import { reassemblyBench } from '../micro/reassembly.ts'
import { ringBench } from '../micro/ring.ts'

export interface MicroResult {
  readonly name: string
  readonly ns: number
  readonly got: string
  readonly expected: number
}

const results: MicroResult[] = []
for (const bench of [hashBench(), ringBench(), decapsulationBench(), reassemblyBench(), ...httpBench()]) {
  // One case of each group: ours, the last one; the plain ways are for reading beside it on one version.
  for (const group of bench.groups) {
    const one = group.at(-1)!
    const got = new Set<number>()
    const { nsPerOperation } = measure(one, process.argv[2] === 'quick', got)
    results.push({
      name: `${bench.name.replace('micro/', '')}: ${one.name}`,
      ns: nsPerOperation.median,
      got: [...got].join(' and '),
      expected: one.expected,
    })
  }
}
writeSync(1, JSON.stringify(results))
