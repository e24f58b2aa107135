/** Where piscina finds what a thread runs. Always the build: Node 20 loads no TypeScript in threads. */
import { fileURLToPath } from 'node:url'

export function workerFile(name: 'shard' | 'receiver'): string {
  const isBuilt = new URL(import.meta.url).pathname.includes('/dist/')
  return fileURLToPath(new URL(isBuilt ? `../../workers/${name}.js` : `../../dist/workers/${name}.js`, import.meta.url))
}
