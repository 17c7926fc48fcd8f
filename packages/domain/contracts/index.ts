export { couponIssuerContract, type OpenEvent } from "./coupon-issuer.contract.ts";
export { eventStoreContract } from "./event-store.contract.ts";
export { progressFeedContract } from "./progress-feed.contract.ts";
export { until } from "./until.ts";
