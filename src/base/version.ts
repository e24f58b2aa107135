/** The version, from package.json. Imports nothing of ours: `--version` answers before anything else is loaded. */
import { readFileSync } from 'node:fs'

/** @returns the version, or `unknown` where no package.json of ours stands above this file */
export function readVersion(): string {
  // From src/base it is two folders up, from dist/src/base three; packagers may add more.
  for (let up = '../'; up.length <= 3 * 6; up += '../') {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8'))
      const { name, version } = manifest as { name?: unknown; version?: unknown }
      if (name === 'mirrorshard' && typeof version === 'string') return version
    } catch {
      // Not here, or not readable: look further up.
    }
  }
  return 'unknown'
}
