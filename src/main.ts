#!/usr/bin/env node
/**
 * Entry point of the command line. An old Node reads this file too and has to understand it: nothing is imported before the version is
 * known, and nothing here is younger than ES2017.
 */
const LEAST_NODE = [20, 19]

const found = process.versions.node.split('.').map(Number)
const isTooOld = found[0]! < LEAST_NODE[0]! || (found[0] === LEAST_NODE[0] && found[1]! < LEAST_NODE[1]!)
if (isTooOld) {
  process.stderr.write(`mirrorshard: needs Node ${LEAST_NODE.join('.')} or later, found ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  // SIGHUP ends a process that does not listen, and loading takes its time: base/sighup.ts.
  let hangUps = 0
  const hold = () => {
    hangUps++
  }
  if (process.argv[2] === 'run') process.on('SIGHUP', hold)
  import('./start.ts').then(async ({ start }) => {
    const started = start(hangUps)
    process.off('SIGHUP', hold)
    await started
  })
}
