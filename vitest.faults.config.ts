import { defineConfig } from 'vitest/config'

/** Faults injected into the real process: `npm run test:faults`. One file at a time: each has processes of its own to itself. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
})
