// Entry points as bundles: see docs/decisions/0016-bundled-entry-points.md. tsc has written dist/ file by file; these replace the
// files that Node is started with, and what they share stands in dist/src/chunks/. Dependencies that are loaded on use, or that load
// files of their own, stay outside.
import { rmSync } from 'node:fs'
import { defineConfig } from 'rolldown'

const ENTRIES = ['src/main', 'workers/shard', 'workers/receiver', 'src/demo/harness-thread']
const INSIDE = ['zod', 'commander', 'ipaddr.js']

rmSync('dist/src/chunks', { recursive: true, force: true })

export default defineConfig({
  input: Object.fromEntries(ENTRIES.map((name) => [name, `${name}.ts`])),
  platform: 'node',
  external: (id) =>
    !id.startsWith('.') && !id.startsWith('/') && !INSIDE.some((name) => id === name || id.startsWith(`${name}/`)),
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    // At the depth of the folders of src: paths relative to a module's own place stay right.
    chunkFileNames: 'src/chunks/[name]-[hash].js',
    sourcemap: true,
  },
})
