--= 1 党支部数
SELECT ru, org, 1 AS v FROM branch
--= 2 已建机制总数: different kinds of each branch
SELECT k.ru, k.org, k.k AS v FROM kinds k JOIN branch b ON b.org = k.org
--= 3 平均每支部 = 2 / 1
--= 4 12项及以上
SELECT k.ru, k.org, 1 AS v FROM kinds k JOIN branch b ON b.org = k.org WHERE k.k >= 12
--= 5 6-11项
SELECT k.ru, k.org, 1 AS v FROM kinds k JOIN branch b ON b.org = k.org WHERE k.k BETWEEN 6 AND 11
--= 6 1-5项
SELECT k.ru, k.org, 1 AS v FROM kinds k JOIN branch b ON b.org = k.org WHERE k.k BETWEEN 1 AND 5
--= 7 0项
--! mechanisms
SELECT k.ru, k.org, 1 AS v FROM kinds k JOIN branch b ON b.org = k.org WHERE k.k = 0
--= 8 12项达标率 = 4 / 1
--= 9 应建党组织数
SELECT ru, org, 1 AS v FROM org
--= 10 已建党组织数
SELECT ru, org, 1 AS v FROM kinds WHERE k >= 1
--= 11 建立率 = 10 / 9
--= 12 本年新建机制数: counted ones that were adopted in the year; undated ones that say so
SELECT m.ru, m.org, 1 AS v FROM mechanism m JOIN org o ON o.org = m.org
WHERE YEAR(m.adopted_on) OR (m.adopted_on = '' AND m.is_new = 'yes')
--= k1 已建支部数: branches with the kind
SELECT DISTINCT m.ru, m.org, m.mechanism_kind AS code, 1 AS v FROM mechanism m JOIN branch b ON b.org = m.org
