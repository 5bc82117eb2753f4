// Enlarges the first child of `stage` by wheel, double click or two fingers, and moves it about by dragging.
function zoomable(stage) {
  let scale = 1, x = 0, y = 0;
  const pointers = new Map();
  const place = () => {
    const style = stage.firstElementChild.style;
    style.transformOrigin = "0 0";
    style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    style.setProperty("--zoom", scale);
  };
  const fit = () => { scale = 1; x = 0; y = 0; place(); };
  const zoomAt = (clientX, clientY, factor) => {
    const box = stage.getBoundingClientRect(), px = clientX - box.left, py = clientY - box.top;
    const next = Math.min(Math.max(scale * factor, 1), 40);
    x = px - (px - x) * next / scale; y = py - (py - y) * next / scale; scale = next;
    if (scale === 1) { x = 0; y = 0; }
    place();
  };
  stage.addEventListener("wheel", event => { event.preventDefault(); zoomAt(event.clientX, event.clientY, Math.exp(-event.deltaY / 400)); }, { passive: false });
  stage.addEventListener("dblclick", event => zoomAt(event.clientX, event.clientY, 2));
  stage.addEventListener("pointerdown", event => { stage.setPointerCapture(event.pointerId); pointers.set(event.pointerId, [event.clientX, event.clientY]); });
  stage.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1], now = [event.clientX, event.clientY];
    if (other) {
      const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
      zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, far(now, other) / Math.max(far(before, other), 1));
    } else { x += now[0] - before[0]; y += now[1] - before[1]; place(); }
    pointers.set(event.pointerId, now);
  });
  ["pointerup", "pointercancel"].forEach(name => stage.addEventListener(name, event => pointers.delete(event.pointerId)));
  return { fit, zoomAt };
}
