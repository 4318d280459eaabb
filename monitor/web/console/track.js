// One participant of one call, as far as this page has heard of it.
const MOST = 4000;

export class Track {
  constructor(name) {
    this.name = name;
    this.verdict = null;
    this.points = []; // {time, statistic, type, state}
    this.lanes = new Map(); // By detector: [{start, end, llr, reason, lost}]
    this.latest = new Map(); // By detector: its last window.
    this.end = 0;
  }

  // The record of a window covers seconds that earlier ones covered, too: drawn is what is new.
  window(data) {
    const lane = this.lanes.get(data.detector) ?? [];
    this.lanes.set(data.detector, lane);
    const before = lane.at(-1);
    if (before && data.end <= before.end + 1e-3) return;
    const lost = (data.lost ?? []).map(({ start, end, reason }) => ({ start, end, reason }));
    const start = before ? Math.max(before.end, Math.min(data.start, before.end + 3600)) : data.start;
    lane.push({ start, end: data.end, llr: data.llr ?? null, reason: data.abstained ?? null, lost });
    if (lane.length > MOST) lane.shift();
    this.latest.set(data.detector, data);
    this.end = Math.max(this.end, data.end);
  }

  judged(data) {
    this.verdict = data;
    this.end = Math.max(this.end, data.time ?? 0);
    if (data.statistic === null) return;
    const point = { time: data.time, statistic: data.statistic, type: data.alert_type, state: data.state };
    if (this.points.at(-1)?.time === point.time) this.points.pop();
    this.points.push(point);
    if (this.points.length > MOST) this.points.shift();
  }
}

// The call seconds that a page shows: the last ones, or all.
export class Stretch {
  constructor(seconds) {
    this.seconds = seconds;
    this.end = 1;
  }

  follow(end) {
    this.end = Math.max(end, 1);
  }

  get start() {
    return this.seconds ? Math.max(0, this.end - this.seconds) : 0;
  }

  get length() {
    return this.seconds && this.end < this.seconds ? this.seconds : this.end - this.start;
  }

  x(time, width) {
    return ((time - this.start) / this.length) * width;
  }
}
