// Calls a node with @lodestar/api, in JSON and SSZ, and prints what it called: node lodestar.mjs http://127.0.0.1:5052
// The preset is that of the environment variable LODESTAR_PRESET.
import { getClient, WireFormat } from "@lodestar/api";
import { chainConfigFromJson, createBeaconConfig } from "@lodestar/config";
import { ssz } from "@lodestar/types";

const url = process.argv[2];
const answer = await (await fetch(`${url}/eth/v1/config/spec`)).json();
const genesis = await (await fetch(`${url}/eth/v1/beacon/genesis`)).json();
// The library reads the keys that it knows.
const chainConfig = chainConfigFromJson(answer.data);
const root = Buffer.from(genesis.data.genesis_validators_root.slice(2), "hex");
const config = createBeaconConfig(chainConfig, root);

const used = new Map();
async function counted(resource, options) {
  const request = new URL(resource.url ?? resource);
  const response = await fetch(resource, options);
  const path = request.pathname
    .replace(/0x[0-9a-f]+/g, "{root}")
    .replace(/\/\d+(?=\/|$)/g, "/{n}")
    .replace(/16Uiu2\w+/, "{peer_id}");
  const type = (response.headers.get("content-type") ?? "none").replace("application/", "");
  const name = `${options?.method ?? "GET"} ${path}`;
  const kinds = used.get(name) ?? new Set();
  kinds.add(`${response.status} ${type === "octet-stream" ? "ssz" : type}`);
  used.set(name, kinds);
  return response;
}

const api = getClient({ baseUrl: url, fetch: counted, globalInit: { timeoutMs: 20_000 } }, { config });
let failures = 0;

function expect(name, isRight, found) {
  if (!isRight) {
    failures += 1;
    console.log(`WRONG ${name}: ${found}`);
  }
}

async function call(name, run, isRight = () => true) {
  try {
    const response = await run();
    if (!response.ok) {
      throw new Error(`${response.status} ${JSON.stringify(response.error?.() ?? {}).slice(0, 200)}`);
    }
    const value = response.value();
    expect(name, isRight(value, response), JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}` : each))?.slice(0, 300));
    return { value, response };
  } catch (error) {
    expect(name, false, error);
    return undefined;
  }
}

const head = await call("getBlockHeader", () => api.beacon.getBlockHeader({ blockId: "head" }));
const slot = head.value.header.message.slot;
const blockRoot = Buffer.from(head.value.root).toString("hex");
const slotsPerEpoch = Number(answer.data.SLOTS_PER_EPOCH);
const epoch = Math.floor(slot / slotsPerEpoch);
const isFork = epoch >= Number(answer.data.DVT_FORK_EPOCH ?? Infinity);
const at = { stateId: "head" };
console.log(`@lodestar/api: slot ${slot}, ${isFork ? "dvt" : "fulu"}`);

for (const wire of [WireFormat.json, WireFormat.ssz]) {
  const options = { responseWireFormat: wire };
  const block = await call(`getBlockV2 ${wire}`, () => api.beacon.getBlockV2({ blockId: blockRoot ? `0x${blockRoot}` : "head" }, options));
  if (block) {
    expect("version of a block", block.response.meta().version === "fulu", block.response.meta().version);
    const found = Buffer.from(ssz.fulu.BeaconBlock.hashTreeRoot(block.value.message)).toString("hex");
    // After the fork it cannot be: the library does not see what has been appended.
    expect(`root of a block in ${wire}`, (found === blockRoot) !== isFork, found);
  }
  const state = await call(`getStateV2 ${wire}`, () => api.debug.getStateV2({ stateId: `${slot}` }, options));
  if (state) {
    // In SSZ it is left as bytes.
    const found = state.value instanceof Uint8Array ? ssz.fulu.BeaconState.deserialize(state.value) : state.value;
    const stateRoot = Buffer.from(ssz.fulu.BeaconState.hashTreeRoot(found)).toString("hex");
    const expected = Buffer.from(head.value.header.message.stateRoot).toString("hex");
    expect(`root of a state in ${wire}`, (stateRoot === expected) !== isFork, stateRoot);
  }
  await call(`getPendingDeposits ${wire}`, () => api.beacon.getPendingDeposits(at, options), Array.isArray);
  await call(`getPendingPartialWithdrawals ${wire}`, () => api.beacon.getPendingPartialWithdrawals(at, options), Array.isArray);
  await call(`getPendingConsolidations ${wire}`, () => api.beacon.getPendingConsolidations(at, options), Array.isArray);
  await call(`getProposerLookahead ${wire}`, () => api.beacon.getProposerLookahead(at, options), (found) => found.length === 2 * slotsPerEpoch);
  await call(`getBlobs ${wire}`, () => api.beacon.getBlobs({ blockId: "head" }, options), (found) => found.length === 0);
  await call(`getDebugDataColumnSidecars ${wire}`, () => api.debug.getDebugDataColumnSidecars({ blockId: "head" }, options), Array.isArray);
  await call(`postStateValidatorIdentities ${wire}`, () => api.beacon.postStateValidatorIdentities({ ...at, validatorIds: [0, 1] }, options), (found) => found.length === 2);
}

const { value: validators } = await call("getStateValidators", () => api.beacon.getStateValidators({ ...at, statuses: ["active"] }), (found) => found.length > 0);
// The last ones are no groups, whose registry indices have no duties.
const indices = validators.slice(-3).map((each) => each.index);
await call("postStateValidators", () => api.beacon.postStateValidators({ ...at, validatorIds: indices }), (found) => found.length === 3);
await call("getStateValidator", () => api.beacon.getStateValidator({ ...at, validatorId: indices[0] }));
await call("getStateValidatorBalances", () => api.beacon.getStateValidatorBalances({ ...at, validatorIds: indices }), (found) => found.length === 3);
await call("postStateValidatorBalances", () => api.beacon.postStateValidatorBalances({ ...at, validatorIds: indices }), (found) => found.length === 3);
await call("getStateRoot", () => api.beacon.getStateRoot(at));
await call("getStateFork", () => api.beacon.getStateFork(at));
await call("getStateFinalityCheckpoints", () => api.beacon.getStateFinalityCheckpoints(at));
await call("getStateRandao", () => api.beacon.getStateRandao(at));
await call("getEpochCommittees", () => api.beacon.getEpochCommittees({ ...at, epoch }), (found) => found.length > 0);
await call("getEpochSyncCommittees", () => api.beacon.getEpochSyncCommittees({ ...at, epoch }));
await call("getGenesis", () => api.beacon.getGenesis());
await call("getBlockHeaders", () => api.beacon.getBlockHeaders({ slot }), (found) => found.length === 1);
await call("getBlockRoot", () => api.beacon.getBlockRoot({ blockId: slot }), (found) => Buffer.from(found.root).toString("hex") === blockRoot);
await call("getBlockAttestationsV2", () => api.beacon.getBlockAttestationsV2({ blockId: "head" }));
await call("getBlindedBlock", () => api.beacon.getBlindedBlock({ blockId: "head" }));
await call("getPoolAttestationsV2", () => api.beacon.getPoolAttestationsV2({}));
await call("getPoolAttesterSlashingsV2", () => api.beacon.getPoolAttesterSlashingsV2());
await call("getPoolProposerSlashings", () => api.beacon.getPoolProposerSlashings());
await call("getPoolVoluntaryExits", () => api.beacon.getPoolVoluntaryExits());
await call("getPoolBLSToExecutionChanges", () => api.beacon.getPoolBLSToExecutionChanges());
await call("getBlockRewards", () => api.beacon.getBlockRewards({ blockId: "head" }));
await call("getSyncCommitteeRewards", () => api.beacon.getSyncCommitteeRewards({ blockId: "head", validatorIds: [] }));
if (epoch >= 2) {
  await call("getAttestationsRewards", () => api.beacon.getAttestationsRewards({ epoch: epoch - 2, validatorIds: indices }), (found) => found.totalRewards.length === 3);
}
await call("getForkSchedule", () => api.config.getForkSchedule());
await call("getSpec", () => api.config.getSpec());
await call("getDepositContract", () => api.config.getDepositContract());
await call("getDebugChainHeadsV2", () => api.debug.getDebugChainHeadsV2(), (found) => found.length > 0);
await call("getDebugForkChoice", () => api.debug.getDebugForkChoice());
await call("getNetworkIdentity", () => api.node.getNetworkIdentity());
await call("getPeers", () => api.node.getPeers({ state: ["connected"] }));
await call("getPeerCount", () => api.node.getPeerCount());
await call("getNodeVersion", () => api.node.getNodeVersion());
await call("getSyncingStatus", () => api.node.getSyncingStatus(), (found) => found.isSyncing === false);
await call("getHealth", () => api.node.getHealth({}));
await call("getProposerDuties", () => api.validator.getProposerDuties({ epoch }), (found) => found.length >= slotsPerEpoch - 1);
await call("getAttesterDuties", () => api.validator.getAttesterDuties({ epoch, indices }), (found) => found.length === 3);
await call("getSyncCommitteeDuties", () => api.validator.getSyncCommitteeDuties({ epoch, indices }));
await call("getLiveness", () => api.validator.getLiveness({ epoch, indices }), (found) => found.length === 3);
await call("produceAttestationData", () => api.validator.produceAttestationData({ slot, committeeIndex: 0 }), (found) => found.slot === slot);
await call("prepareBeaconProposer", () => api.validator.prepareBeaconProposer({ proposers: [] }));
await call("prepareBeaconCommitteeSubnet", () => api.validator.prepareBeaconCommitteeSubnet({ subscriptions: [] }));
await call("prepareSyncCommitteeSubnets", () => api.validator.prepareSyncCommitteeSubnets({ subscriptions: [] }));

const events = new Map();
const controller = new AbortController();
const seconds = (2 * Number(answer.data.SLOT_DURATION_MS)) / 1000 + 1;
setTimeout(() => controller.abort(), seconds * 1000);
await api.events.eventstream({
  topics: ["head", "block", "single_attestation", "attestation", "finalized_checkpoint", "payload_attributes"],
  signal: controller.signal,
  onEvent: (event) => events.set(event.type, (events.get(event.type) ?? 0) + 1),
  onError: (error) => expect("eventstream", false, error),
  onClose: () => {},
});
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
expect("events", events.has("head") && events.has("block"), JSON.stringify([...events]));
console.log(`events: ${[...events].map(([topic, count]) => `${topic} x ${count}`).join(", ")}`);
for (const [name, kinds] of [...used].sort()) {
  console.log(`  ${name}: ${[...kinds].sort().join(", ")}`);
}
console.log(`${used.size} endpoints, ${failures} wrong`);
process.exit(failures ? 1 : 0);
