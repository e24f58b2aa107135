/** Small files by which the kernel tells of itself: /proc, /sys. */
import { readFileSync } from 'node:fs'

/** Null where this kernel has no such file, or does not let us read it. */
export function readKernelFile(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}
