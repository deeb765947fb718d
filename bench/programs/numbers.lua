-- The benchmark's Lua: tables, closures, floating point, strings. Usage: luajit numbers.lua AMOUNT
local amount = tonumber(arg[1])

local function count_primes(limit)
    local composite, count = {}, 0
    for i = 2, limit do
        if not composite[i] then
            count = count + 1
            for k = i * i, limit, i do composite[k] = true end
        end
    end
    return count
end

-- Newton's method towards the cube roots of 1: which one, and after how many steps.
local function basin(x, y)
    for step = 1, 30 do
        local x2, y2 = x * x - y * y, 2 * x * y
        local size = 3 * (x2 * x2 + y2 * y2) + 1e-12
        local cubed_x, cubed_y = x * x2 - y * y2 - 1, x * y2 + y * x2
        local dx = 3 * (cubed_x * x2 + cubed_y * y2) / (3 * size)
        local dy = 3 * (cubed_y * x2 - cubed_x * y2) / (3 * size)
        x, y = x - dx, y - dy
        if dx * dx + dy * dy < 1e-9 then return step end
    end
    return 30
end

local function compose(f, g) return function(x) return g(f(x)) end end

local steps = 0
for row = 1, amount do
    for column = 1, 100 do steps = steps + basin(row / amount * 4 - 2, column / 25 - 2.01) end
end
local chain = function(x) return x end
for i = 1, 20 do chain = compose(chain, function(x) return (x * 31 + i) % 65537 end) end
local sum = 0
for i = 1, amount * 50 do sum = (sum + chain(i)) % 1000000007 end
local pieces = {}
for i = 1, amount * 50 do pieces[#pieces + 1] = string.format("%x", i * i) end

print(count_primes(amount * 1000), steps, sum, #table.concat(pieces))
