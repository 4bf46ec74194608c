// Pictures in SVG, of numbers that it is given: a line over time, columns, ticks on a time line. It knows nothing of actors.
// What is written into a picture is put there as text.

const name_space = "http://www.w3.org/2000/svg";
export function shape(kind, attributes = {}, text) {
  const made = document.createElementNS(name_space, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
export function titled(made, text) {
  made.append(shape("title", {}, text));
  return made;
}
const size_of = svg => [svg.clientWidth || 240, svg.clientHeight || 58];

export function short(number) {
  if (number < 1000) return String(Math.round(number * 10) / 10);
  const units = ["k", "M", "G", "T"];
  let at = -1;
  while (number >= 1000 && at < units.length - 1) { number /= 1000; ++at; }
  return `${number >= 100 ? Math.round(number) : Math.round(number * 10) / 10}${units[at]}`;
}
/// Of a duration in nanoseconds: three digits that say something.
export function duration(ns) {
  const [unit, size] = ns >= 1e9 ? ["s", 1e9] : ns >= 1e6 ? ["ms", 1e6] : ns >= 1e3 ? ["µs", 1e3] : ["ns", 1];
  return `${Number((ns / size).toPrecision(3))} ${unit}`;
}
export const micros = us => us >= 1e6 ? `${us / 1e6}s` : us >= 1000 ? `${us / 1000}ms` : `${us}µs`;

/// A line of up to `room` values, the newest at the right.
export function line(svg, values, room) {
  const [width, height] = size_of(svg);
  const most = Math.max(1, ...values);
  const step = width / (room - 1);
  const from = width - (values.length - 1) * step;
  const points = values.map((v, i) => `${(from + i * step).toFixed(1)},${(height - 2 - v / most * (height - 14)).toFixed(1)}`);
  const area = points.length > 1 ? [shape("path", {class: "area", d: `M${from.toFixed(1)},${height + 2} L${points.join(" L")} L${width},${height + 2}`})] : [];
  svg.replaceChildren(...area, shape("text", {x: 0, y: 10}, short(most)));
}

/// Columns {label, value, kind, title}; heights by the logarithm, so that one among thousands is seen.
export function columns(svg, all) {
  const [width, height] = size_of(svg);
  const most = Math.max(1, ...all.map(c => Math.log1p(c.value)));
  const step = width / Math.max(1, all.length);
  const floor = height - 12;
  // Labels that would touch: every other one.
  const labels = all.map((c, i) => step >= 9 + 5 * c.label.length || i % 2 === 0 ? c.label : "");
  svg.replaceChildren(...all.flatMap((c, i) => {
    const tall = c.value ? Math.max(2, Math.log1p(c.value) / most * (floor - 12)) : 0;
    const column = shape("rect", {class: `column ${c.kind || ""}`, x: (i * step + 2).toFixed(1), y: (floor - tall).toFixed(1), width: Math.max(1, step - 4).toFixed(1), height: tall.toFixed(1), rx: 2});
    const middle = {x: (i * step + step / 2).toFixed(1), "text-anchor": "middle"};
    return [titled(column, c.title), ...(c.value ? [shape("text", {...middle, y: (floor - tall - 2).toFixed(1)}, short(c.value))] : []), shape("text", {...(i === 0 ? {x: 0} : middle), y: height - 2}, labels[i])];
  }), shape("path", {class: "axis", d: `M0,${floor}H${width}`}));
}

/// Ticks {time, kind, title} of the last `minutes`; on lanes, if they say which: {lane}.
export function time_line(svg, ticks, minutes, lanes = [""]) {
  const [width] = size_of(svg);
  const now = Date.now();
  const left = lanes.length > 1 ? 190 : 0;
  const lane_height = lanes.length > 1 ? 22 : 44;
  const floor = lanes.length * lane_height;
  const x = time => left + (width - left - 8) * (1 - (now - time) / (minutes * 60000));
  const made = [shape("path", {class: "axis", d: `M${left},${floor}H${width}`})];
  for (let at = 0; at <= minutes; at += Math.max(1, minutes / 5)) made.push(shape("text", {x: x(now - at * 60000).toFixed(1), y: floor + 12, "text-anchor": at === 0 ? "end" : at >= minutes ? "start" : "middle"}, at ? `-${at} min` : "now"));
  lanes.forEach((lane, i) => {
    if (lanes.length < 2) return;
    made.push(titled(shape("text", {x: 4, y: i * lane_height + 15}, lane.length > 30 ? `…${lane.slice(-29)}` : lane), lane), shape("path", {class: "axis", d: `M${left},${i * lane_height + lane_height}H${width}`}));
  });
  for (const t of ticks) {
    if (now - t.time > minutes * 60000) continue;
    const row = Math.max(0, lanes.indexOf(t.lane));
    made.push(titled(shape("rect", {class: `tick column ${t.kind}`, x: (x(t.time) - 2).toFixed(1), y: row * lane_height + (lanes.length > 1 ? 5 : 12), width: 4, height: lanes.length > 1 ? lane_height - 9 : lane_height - 14, rx: 1.5}), t.title));
  }
  svg.replaceChildren(...made);
}
