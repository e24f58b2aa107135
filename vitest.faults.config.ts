import { defineConfig } from 'vitest/config'

/** Faults, injected into the built program: `npm run test:faults`. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    // An origin that is down for half a minute is one of the tests.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // One after the other: they measure memory, sockets and how long recovery takes.
    fileParallelism: false,
    maxWorkers: 1,
    reporters: ['verbose'],
    // Tables of what was seen, at the end.
    globalSetup: ['test/faults/support/report.ts'],
    // Figures stand beside the tests they belong to.
    disableConsoleIntercept: true,
  },
})
