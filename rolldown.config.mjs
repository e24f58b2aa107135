// Entry points as bundles: see docs/decisions/0016-bundled-entry-points.md. tsc has written dist/ file by file; these replace the
// files that Node is started with, and what they share stands in dist/src/chunks/. Dependencies that are loaded on use, or that load
// files of their own, stay outside.
import { rmSync } from 'node:fs'
import { defineConfig } from 'rolldown'

const ENTRIES = ['src/main', 'workers/shard', 'workers/receiver', 'src/demo/harness-thread']
const INSIDE = ['zod', 'commander', 'ipaddr.js']

// The stages that every packet passes through stand in one chunk. Between modules of one chunk V8 knows constants and functions when it
// compiles; what comes from another chunk it loads and checks at each use.
const PATH = new RegExp(
  `/src/(${[
    'base/(drop|clock)\\.ts',
    '(wire|decapsulation|dispatch|ring|flow|reassembly|http|exchange)/',
    'metrics/(counters|scalars|passed-over|refused-numbers|target-counters|time-buckets)\\.ts',
    'sinks/(null-sink|fan-out|pairing)\\.ts',
    'topology/(packet-pipeline|shard)\\.ts',
  ].join('|')})`,
)

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
    // Doc comments are a quarter of the text that is scanned at each start; those that name a licence stay.
    comments: { legal: true, annotation: true, jsdoc: false },
    codeSplitting: {
      groups: [
        { name: 'path', test: PATH },
        // What the start needs of the same modules' dependencies: not the whole path with it.
        { name: 'errors', test: /\/src\/base\/errors\.ts/, priority: 1 },
        { name: 'ipaddr', test: /\/node_modules\/ipaddr\.js\//, priority: 1 },
        { name: 'selection', test: /\/src\/sinks\/filter\/selection\.ts/, priority: 1 },
      ],
    },
  },
})
