/** Builds of the project that stand apart: another commit, and this checkout as it was built last. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { CHECKOUT } from '../support/machine.ts'

export interface Build {
  readonly main: string
  /** Short hash of the commit. */
  readonly commit: string
  /** Where its packages come from. */
  readonly packages: 'this checkout' | 'npm ci'
  remove(): void
}

/** Built as that commit builds itself: with its own bundler, if it has one. @throws Error with what git, npm or the compiler said */
export function buildOf(ref: string, directory: string): Build {
  const commit = run('git', ['rev-parse', '--verify', `${ref}^{commit}`], CHECKOUT).trim()
  const folder = join(directory, `base-${commit.slice(0, 12)}`)
  // Also when the bench is interrupted: a worktree that is only deleted stays in git's list.
  const remove = () => {
    process.off('exit', remove)
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
    spawnSync('git', ['worktree', 'remove', '--force', folder], { cwd: CHECKOUT })
  }
  const interrupted = () => {
    remove()
    process.exit(130)
  }
  process.on('exit', remove)
  process.on('SIGINT', interrupted)
  process.on('SIGTERM', interrupted)
  try {
    run('git', ['worktree', 'add', '--detach', folder, commit], CHECKOUT)
    const hasOurPackages =
      readFileSync(join(folder, 'package-lock.json'), 'utf8') ===
      readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')
    if (hasOurPackages) symlinkSync(join(CHECKOUT, 'node_modules'), join(folder, 'node_modules'))
    else run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], folder)
    run('npm', ['run', '--silent', 'build'], folder)
    return {
      main: join(folder, 'dist/src/main.js'),
      commit: commit.slice(0, 12),
      packages: hasOurPackages ? 'this checkout' : 'npm ci',
      remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

/** A copy of this checkout's build: it stands as the other one does, and a build made meanwhile does not change it. @returns its main */
export function copyOfThisBuild(directory: string): string {
  const folder = join(directory, 'this-checkout')
  mkdirSync(folder)
  for (const part of ['package.json', 'dist/src', 'dist/workers'])
    cpSync(join(CHECKOUT, part), join(folder, part), { recursive: true })
  symlinkSync(join(CHECKOUT, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'dist/src/main.js')
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr || stdout}`)
  return stdout
}
