// Says after an install whether packets can be captured from an interface: package cap is optional, and npm is silent when it was not built.
// Never fails an install, and any Node reads it.
try {
  let isThere = true
  try {
    require('cap')
  } catch (_) {
    isThere = false
  }
  const what = 'mirrorshard: live capture (capture, run --interface)'
  if (isThere) console.log(what + ' is available.')
  else {
    console.log(what + ' is not available: the optional package cap was not built. Everything else works.')
    console.log('mirrorshard: to get it: apt-get install libpcap-dev g++ make python3, then npm ci again')
  }
} catch (_) {
  // Nobody listens.
}
