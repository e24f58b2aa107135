/** `npm run soak`: long runs under faults, and what they left behind as pages. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithThisProcess } from '../support/children.ts'
import { parseSoakOptions, type SoakOptions, USAGE } from './options.ts'

const USAGE_EXIT = 2

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    console.log(USAGE)
    return 0
  }
  let options: SoakOptions
  try {
    options = parseSoakOptions(argv)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
    return USAGE_EXIT
  }
  const say = (line: string) => console.log(line)
  const directory = mkdtempSync(join(tmpdir(), 'mirrorshard-soak-'))
  endWithThisProcess(directory)
  try {
    return (await run(options, directory, say)) ? 0 : 1
  } catch (error) {
    console.error((error as Error).stack)
    say(`verdict: FAILED, the run did not come to its end (seed ${options.seed})`)
    return 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function run(options: SoakOptions, directory: string, say: (line: string) => void): Promise<boolean> {
  switch (options.command) {
    case 'soak':
      return (await import('./run.ts')).soak(options, directory, say)
    case 'restarts':
      return (await import('./restarts.ts')).restarts(options, directory, say)
    case 'docs':
      ;(await import('./docs.ts')).writeDocs(options.files, say)
      return true
  }
}

process.exitCode = await main(process.argv.slice(2))
