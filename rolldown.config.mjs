// Entry points as bundles: see docs/decisions/0016-bundled-entry-points.md. tsc has written dist/ file by file; these replace the
// files that Node is started with, and what they share stands in dist/src/chunks/. Dependencies that are loaded on use, or that load
// files of their own, stay outside.
import { rmSync } from 'node:fs'
import { defineConfig } from 'rolldown'

const ENTRIES = ['src/main', 'workers/shard', 'workers/receiver', 'src/demo/harness-thread']
const INSIDE = ['zod', 'commander', 'ipaddr.js']

// A module is a file to find, open and compile at each start, in each thread: what is loaded together stands together. The stages that
// every packet passes through are one chunk for another reason: between modules of one chunk V8 knows constants and functions when it
// compiles; what comes from another chunk it loads and checks at each use.
const CHUNKS = {
  // What every thread and every command needs, and nothing that is large.
  common: [
    'src/base/(?!log\\.|secret-file)',
    'src/(start|cli/fatal)\\.',
    'src/exchange/message',
    'src/sinks/filter/(glob|sampling|target|selection)',
    'src/sources/capture-record',
    'src/topology/(fault|output|thread-control|shard-control|shard-memory|receiver-control)',
    'node_modules/ipaddr.js/',
  ],
  'command-line': ['src/cli/', 'src/config/(?!file)', 'node_modules/(zod|commander)/'],
  path: [
    'src/(wire|decapsulation|dispatch|ring|flow|reassembly|http|exchange)/',
    'src/metrics/(counters|scalars|passed-over|refused-numbers|target-counters|time-buckets)',
    'src/sinks/(null-sink|fan-out|pairing)',
    'src/topology/(packet-pipeline|shard)\\.',
  ],
  run: [
    'src/report/(?!metrics|servers|admin|health|diagnosis|render)',
    'src/sinks/replay/(options|client-certificate)',
    'src/base/secret-file',
    'src/topology/(pipeline|inline-pipeline|run-stats|stage-configs|settlement|command-log|thread-deaths)',
  ],
  files: [
    'src/sources/files/(?!pcap-writer)',
    'src/topology/(captures|pacer|file-pump|progress-bar|offline-run|commands/replay)',
  ],
}

rmSync('dist/src/chunks', { recursive: true, force: true })

export default defineConfig({
  input: Object.fromEntries(ENTRIES.map((name) => [name, `${name}.ts`])),
  platform: 'node',
  tsconfig: 'tsconfig.json',
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
      // The first that names a module has it.
      groups: Object.entries(CHUNKS).map(([name, parts], i, { length }) => ({
        name,
        test: new RegExp(`/(${parts.join('|')})`),
        priority: length - i,
      })),
    },
  },
})
