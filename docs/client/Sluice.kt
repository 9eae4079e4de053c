// The app's side of Sluice for Android, with OkHttp and coroutines. Copy this file and change
// what you like; docs/client/README.md says why each rule is there. For Kotlin Multiplatform
// take SluiceMultiplatform.kt.
package dev.sluice.client

import android.content.SharedPreferences
import java.io.IOException
import java.util.UUID
import java.util.concurrent.TimeUnit
import kotlin.math.min
import kotlin.math.pow
import kotlin.random.Random
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import org.json.JSONArray
import org.json.JSONObject

/** What the app keeps of a tap until it has a final answer. */
data class Tap(val key: String, val item: String, val quantity: Int)

/** How a tap ended. Only [Working] is not final: its key is kept, and resume() goes on. */
sealed interface Outcome {
    data class Bought(val spend: JSONObject) : Outcome
    data class NotEnough(val text: String) : Outcome
    data class GivenBack(val text: String) : Outcome
    data class Refused(val text: String, val problem: String) : Outcome
    data object Working : Outcome
}

class SluiceException(message: String) : Exception(message)

/**
 * One object for the whole app. refreshBalance, with RevenueCat's SDK:
 *
 *     Purchases.sharedInstance.invalidateVirtualCurrenciesCache()
 *     balances = Purchases.sharedInstance.awaitGetVirtualCurrencies()
 */
class Sluice(
    private val base: String,
    player: String,
    private val preferences: SharedPreferences,
    private val session: suspend (renew: Boolean) -> String, // your login's token
    private val refreshBalance: suspend () -> Unit,
) {
    private val place = "sluice.taps.$player"
    private val http = OkHttpClient.Builder().callTimeout(45, TimeUnit.SECONDS).build()
    private val lock = Mutex()
    private val running = mutableMapOf<String, CompletableDeferred<Outcome>>()

    /** One tap, one key: made here, stored before the first request, forgotten after a final answer. */
    suspend fun spend(item: String, quantity: Int = 1): Outcome {
        val tap = Tap(UUID.randomUUID().toString(), item, quantity)
        lock.withLock { save(kept() + tap) }
        return finish(tap)
    }

    /** Goes on with every tap that has no final answer: call it when the app starts and when it is online again. */
    suspend fun resume(): List<Outcome> = lock.withLock { kept() }.map { finish(it) }

    /** Brings one tap to its end; the same tap twice at once is one. */
    private suspend fun finish(tap: Tap): Outcome {
        val mine = CompletableDeferred<Outcome>()
        val first = lock.withLock { running.getOrPut(tap.key) { mine } }
        if (first !== mine) return first.await()
        try {
            return pursue(tap).also { mine.complete(it) }
        } finally {
            mine.complete(Outcome.Working) // only if the screen went away meanwhile: the key is kept
            withContext(NonCancellable) { lock.withLock { running.remove(tap.key) } }
        }
    }

    private suspend fun pursue(tap: Tap): Outcome {
        val until = System.nanoTime() + TimeUnit.MINUTES.toNanos(1)
        var accepted: String? = null // the spend's id, once it has one
        var attempt = 0
        while (true) {
            val answer = if (accepted != null) {
                call("GET", "/spends/$accepted")
            } else {
                val body = JSONObject().put("item", tap.item).put("quantity", tap.quantity).put("idempotencyKey", tap.key)
                call("POST", "/spend", body)
            }
            val outcome = answer?.let { if (accepted == null) decided(it) else ended(it.body) }
            if (outcome != null) {
                lock.withLock { save(kept().filter { it.key != tap.key }) }
                if (outcome is Outcome.Bought || outcome is Outcome.GivenBack) {
                    try { refreshBalance() } catch (e: CancellationException) { throw e } catch (_: Exception) { } // undoes nothing
                }
                return outcome
            }
            if (answer?.status == 202) accepted = answer.body.optJSONObject("spend")?.optString("id") // also its Location
            val wait = pause(answer, attempt++)
            if (System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(wait) > until) return Outcome.Working
            delay(wait)
        }
    }

    /** "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase. */
    suspend fun claim(store: String, transactionId: String, productId: String) {
        must("POST", "/purchases/claims", JSONObject().put("store", store).put("transaction_id", transactionId).put("product_id", productId))
    }

    /** Has the player's purchases read again. Call it after the SDK's own restore. */
    suspend fun restore() {
        var attempt = 0
        while (true) {
            val answer = must("POST", "/purchases/restore", JSONObject())
            if (answer.status == 200) break
            delay(pause(answer, attempt++))
        }
        refreshBalance()
    }

    private class Answer(val status: Int, val retryAfter: Double?, val body: JSONObject)

    /** One request; null when no answer came. A refused session is renewed once. */
    private suspend fun call(method: String, path: String, body: JSONObject? = null): Answer? {
        for (renew in listOf(false, true)) {
            val request = Request.Builder().url(base + path)
                .method(method, body?.toString()?.toRequestBody("application/json".toMediaType()))
                .header("Authorization", "Bearer " + session(renew))
                .build()
            val answer = withContext(Dispatchers.IO) {
                try {
                    http.newCall(request).execute().use { response ->
                        val text = response.body?.string().orEmpty()
                        Answer(response.code, response.header("Retry-After")?.toDoubleOrNull(), if (text.startsWith("{")) JSONObject(text) else JSONObject())
                    }
                } catch (unheard: IOException) {
                    null // offline, timed out, cut off: nobody knows whether it arrived, and the key makes a repeat safe
                }
            }
            if (answer?.status == 401 && !renew) continue
            return answer
        }
        return null
    }

    /** A call that may be repeated as it is: all of them but spends, which have their keys. */
    private suspend fun must(method: String, path: String, body: JSONObject): Answer {
        for (attempt in 0 until 8) {
            val answer = call(method, path, body)
            if (answer != null && answer.status < 300) return answer
            if (answer != null && answer.status != 429 && answer.status != 503) throw SluiceException(answer.body.optString("error"))
            delay(pause(answer, attempt))
        }
        throw SluiceException("Please try again in a moment")
    }

    /** Reads an answer to POST /spend; null: it is not final, go on with the same key. */
    private fun decided(answer: Answer): Outcome? {
        val text = answer.body.optString("error", "Something went wrong, please try again")
        val problem = answer.body.optString("type").removePrefix("https://sluice.dev/problems/")
        return when (answer.status) {
            200 -> answer.body.optJSONObject("spend")?.let { Outcome.Bought(it) }
            402 -> Outcome.NotEnough(text)
            403 -> if (problem == "spend-refunded") Outcome.GivenBack(text) else Outcome.Refused(text, problem)
            500 -> if (problem == "item-not-handed-over") Outcome.GivenBack(text) else null
            502 -> if (problem == "provider-refused") Outcome.Refused(text, problem) else null // a proxy's own 502 decides nothing
            400, 404, 409, 413, 415 -> Outcome.Refused(text, problem)
            else -> null // 202, 401, 429, 503, and whatever a proxy says
        }
    }

    /** Reads a spend from GET /spends/{id}; null: it is still under way. */
    private fun ended(spend: JSONObject): Outcome? = when (spend.optString("state")) {
        "fulfilled" -> Outcome.Bought(spend)
        "refunded" -> Outcome.GivenBack("Your gems are back")
        "declined" ->
            if (spend.optString("reason") == "insufficient_funds") Outcome.NotEnough("Not enough gems")
            else Outcome.Refused("This purchase was refused", spend.optString("reason"))
        else -> null
    }

    /** Milliseconds to wait: what Retry-After says, else longer each time, never in step with others. */
    private fun pause(answer: Answer?, attempt: Int): Long {
        val told = answer?.retryAfter ?: 0.0
        if (told > 0) return (told * 1000).toLong() + Random.nextLong(250)
        return (min(15_000.0, 500 * 2.0.pow(attempt)) * Random.nextDouble(0.5, 1.0)).toLong()
    }

    private fun kept(): List<Tap> {
        val list = JSONArray(preferences.getString(place, "[]"))
        return List(list.length()) { i -> list.getJSONObject(i).run { Tap(getString("key"), getString("item"), getInt("quantity")) } }
    }

    private fun save(taps: List<Tap>) {
        val list = JSONArray()
        for (tap in taps) list.put(JSONObject().put("key", tap.key).put("item", tap.item).put("quantity", tap.quantity))
        preferences.edit().putString(place, list.toString()).commit() // not apply(): it is on the disk before the request leaves
    }
}
