import type { SoakOptions } from './options.ts'
export async function restarts(_o: SoakOptions, _d: string, _s: (line: string) => void): Promise<boolean> {
  return false
}
