// Asks Cronfire for a tick each time Cloudflare's clock says so. What throws is shown as a failed event.
const WITHIN_MS = 55_000;

export default {
  async scheduled(_controller, env, _context) {
    const address = `${env.CRONFIRE_URL?.trim().replace(/\/+$/, "")}/tick`;
    if (!URL.canParse(address)) {
      throw new Error("CRONFIRE_URL must be an address such as https://cronfire-abc.a.run.app");
    }
    const answer = await fetch(address, {
      method: "POST",
      headers: { authorization: `Bearer ${env.CRON_SECRET}` },
      redirect: "manual", // nobody else gets the secret
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    const report = await answer.text();
    console.log(answer.status, report.slice(0, 2000));
    if (!answer.ok || !report.includes('"status":"ok"')) {
      throw new Error(`Cronfire answered ${answer.status}, and no report of a tick that worked`);
    }
  },
};
